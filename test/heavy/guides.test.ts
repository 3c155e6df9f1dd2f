/**
 * The guides for operators and for vendors, word for word and in their order, each in one shell
 * and a folder of its own, with SoftHSM2 and a real ssh-agent: what begins with `$ ` is typed, a
 * line `error[CODE]: …` below it is the refusal that must come, and each other line must be
 * printed; `…` stands for anything.
 */

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { openRepository } from '../../client/open-repository.ts';
import { freePort } from '../../scripts/demo/support/port.ts';
import type { PublicKey } from '../../shared/crypto/key.ts';
import { parseEvidenceKeys } from '../../shared/evidence/keys.ts';
import { SIDECARS } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { keyId } from '../../shared/tuf/key.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { Scene } from '../publisher/support.ts';
import { expectedExit, says, steps } from '../support/guide.ts';
import { Shell } from '../support/shell.ts';
import { verifyElsewhere } from '../support/sigstore.ts';

t.setTimeout(600_000);

const MODULE = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib64/pkcs11/libsofthsm2.so'].find(
  (path) => existsSync(path),
);
for (const [program, ...argv] of [
  ['softhsm2-util', '--version'],
  ['ssh-agent', '-h'],
] as const) {
  if (MODULE !== undefined && spawnSync(program, argv).error === undefined) continue;
  t.pass(`${program} is not here`, { skip: 'install the packages softhsm2 and openssh-client' });
  process.exit();
}

/** A shell with the programs of this checkout, and nothing of its user's. */
function shellIn(folder: string): Shell {
  const programs = join(folder, '.programs');
  mkdirSync(programs);
  for (const name of ['ironport', 'ironport-repo', 'ironport-client'])
    spawnSync('ln', ['-s', resolve('bin', `${name}.js`), join(programs, name)]);
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    PATH: [programs, dirname(process.execPath), process.env.PATH].join(delimiter),
    HOME: folder,
    NO_COLOR: '1',
    XDG_STATE_HOME: join(folder, '.state'),
  };
  for (const name of ['SSH_AUTH_SOCK', 'SSH_AGENT_PID', 'SOFTHSM2_CONF']) delete env[name];
  return new Shell({ command: ['bash', '--norc', '--noprofile'], folder, env });
}

/** Whether somebody answers there; a service that is starting is waited for. */
async function answers(port: number): Promise<boolean> {
  for (let tries = 0; tries < 300; tries++) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return true;
    await sleep(200);
  }
  return false;
}

async function walk(t: Test, page: string, folder: string, url: string): Promise<void> {
  const text = readFileSync(page, 'utf8')
    .replaceAll('https://drivers.example', url)
    .replaceAll('127.0.0.1:8080', new URL(url).host)
    .replaceAll('127.0.0.1:8081', `127.0.0.1:${await freePort()}`)
    .replaceAll('127.0.0.1:9464', `127.0.0.1:${await freePort()}`)
    .replaceAll('/usr/lib/softhsm/libsofthsm2.so', MODULE as string);
  cpSync('examples/edu', folder, { recursive: true });
  const shell = shellIn(folder);
  t.teardown(() => shell.close());
  const all = steps(text);
  t.ok(all.length > 30, 'there are lines');
  for (const step of all) {
    const { line, shown } = step;
    let { exit, printed } = await shell.type(line);
    if (line.endsWith('&')) {
      t.ok(await answers(Number(new URL(url).port)), `${line} answers`);
      // It answers before it says so.
      for (let tries = 0; tries < 300 && !shown.every((one) => says(shell.printed, one)); tries++)
        await sleep(100);
      printed = shell.printed;
    }
    if (!t.equal(exit, expectedExit(step), line, { printed })) return;
    for (const one of shown) t.ok(says(printed, one), `${line}\n${one}`, { printed });
  }
}

function folderFor(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-guide-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

t.test('every line of docs/guide/operator.md', async (t) => {
  const url = `http://127.0.0.1:${await freePort()}`;
  await walk(t, 'docs/guide/operator.md', folderFor(t), url);
});

t.test('every line of docs/guide/vendor.md', async (t) => {
  const folder = folderFor(t);
  // What the operators of the page have: a repository that runs, with a root that one key signs.
  const scene = new Scene(folder);
  mkdirSync(scene.at('repo', 'private', 'keys'), { recursive: true, mode: 0o700 });
  await scene.start();
  t.teardown(() => scene.stop());
  await walk(t, 'docs/guide/vendor.md', folder, scene.url);
  await verifiesAsWritten(t, scene);
});

/**
 * What somebody has who walked the page: the artifacts, by our client, and their bundles, by
 * `@sigstore/verify`, although the evidence key was exchanged on the way.
 */
async function verifiesAsWritten(t: Test, scene: Scene): Promise<void> {
  const repository = await openRepository({
    address: scene.url,
    store: join(scene.folder, '.as-written'),
  });
  t.teardown(() => repository.close());
  await repository.pin(readFileSync(scene.at('signed', '1.root.json')));
  const role = parseTargets(readFileSync(scene.at('acme', 'signed', 'published.json')), 'acme');
  const { active, retired } = parseEvidenceKeys(role.envelope.signed);
  t.ok(active.length > 0 && retired.length > 0, 'one signs, and one was retired');
  const byId = new Map(
    [...active, ...retired].map((key) => [keyId(platformCrypto, key), key] as const),
  );
  const { targets } = await repository.list();
  const paths = targets.map(({ entry }) => entry.path).filter((path) => path.startsWith('acme/'));
  const bundles = paths.filter((path) => path.endsWith(SIDECARS.bundle));
  t.ok(bundles.length > 0, 'there are bundles');
  const hints = new Set<string>();
  for (const path of bundles) {
    const artifact = path.slice(0, -SIDECARS.bundle.length);
    const { sidecars } = await repository.verify(artifact);
    const bytes = sidecars.get('bundle')?.bytes as Uint8Array;
    const bundle = JSON.parse(new TextDecoder().decode(bytes));
    const { hint } = bundle.verificationMaterial.publicKey;
    t.doesNotThrow(() => verifyElsewhere(bundle, hint, byId.get(hint) as PublicKey), artifact);
    hints.add(hint);
  }
  t.ok(
    retired.some((key) => hints.has(keyId(platformCrypto, key))),
    'also those of the key that is retired',
  );
}

t.test('the links of the guides lead somewhere', async (t) => {
  for (const page of ['operator', 'vendor', 'vendor-channels']) {
    const text = readFileSync(`docs/guide/${page}.md`, 'utf8');
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g))
      t.ok(existsSync(join('docs/guide', target as string)), `${page}: ${target}`);
  }
});
