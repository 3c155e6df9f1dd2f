// Every kind of thing in the place of every file that a store keeps: a folder, a link, a pipe, a
// socket, a device, a file that may not be read. A cache heals and says so; trust is refused.

import { spawnSync } from 'node:child_process';
import {
  chmod,
  cp,
  lstat,
  mkdir,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { getuid } from 'node:process';
import t from 'tap';
import { examine, repair } from '../../client/doctor/doctor.ts';
import { equalBytes } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { EDU } from '../support/artifact.ts';
import { DRIVER, Machine, repositoryWithArtifact } from './bundle/support.ts';

const isRoot = getuid?.() === 0;

/** Each puts something else into `place`; false where this machine cannot. */
const KINDS: Readonly<Record<string, (place: string) => Promise<boolean>>> = {
  'an empty folder': async (place) => mkdir(place).then(() => true),
  'a folder with something in it': async (place) => {
    await mkdir(join(place, 'deep'), { recursive: true });
    await writeFile(join(place, 'deep', 'file'), 'x');
    return true;
  },
  'a link to a file': async (place) => {
    await writeFile(`${place}.elsewhere`, 'of somebody else');
    await symlink(`${place}.elsewhere`, place);
    return true;
  },
  'a link to nothing': async (place) => symlink('/nowhere/at/all', place).then(() => true),
  'a link to itself': async (place) => symlink(basename(place), place).then(() => true),
  'a pipe': async (place) => spawnSync('mkfifo', [place]).status === 0,
  'a socket': async (place) => {
    const server = createServer();
    // A name that fits into an address; it is then given its place.
    const short = join('/tmp', `ironport-${process.pid}.sock`);
    await new Promise<void>((resolve) => server.listen(short, resolve));
    const moved = spawnSync('mv', [short, place]).status === 0;
    server.close();
    return moved;
  },
  'a device': async (place) => isRoot && spawnSync('mknod', [place, 'c', '1', '5']).status === 0,
  'a file that may not be read': async (place) => {
    await writeFile(place, 'x');
    await chmod(place, 0);
    return true;
  },
};

interface Scene {
  readonly machine: Machine;
  readonly said: string[];
  at(path: string): string;
}

/** A host that has everything: two roots, evidence of what it got, targets of a bundle. */
const home = t.testdir();
const out = join(home, 'out.js');
const sim = await repositoryWithArtifact();
await makeTemplate();

async function makeTemplate(): Promise<void> {
  const host = new Machine(home, 'template');
  await host.pin(sim);
  sim.nextRoot();
  const made = new Machine(home, 'other');
  await made.pin(sim);
  await made.create(sim, join(home, 'edu.bundle'));
  await host.import(join(home, 'edu.bundle'));
  await host.repository(sim).refresh({ mayLeaveUnread: true });
  await host.repository(sim).getVerified(EDU, out);
}

let made = 0;

/** That host again, in a folder of its own. */
async function scene(): Promise<Scene> {
  const name = `store-${made++}`;
  await cp(join(home, 'template'), join(home, name), { recursive: true });
  const machine = new Machine(home, name);
  return { machine, said: [], at: (path) => join(machine.store.folder, path) };
}

function used({ machine, said }: Scene, online: boolean) {
  return machine.fresh(online ? sim : undefined, { onNotice: (text) => said.push(text) });
}

/** All that a refresh and a verified download use. */
async function work(scene: Scene, online: boolean): Promise<void> {
  await rm(out, { force: true });
  const repository = used(scene, online);
  await repository.refresh({ mayLeaveUnread: true });
  await repository.getVerified(EDU, out);
}

/** Files of the store, each with its path below it. */
const template = join(home, 'template');
const found = await readdir(template, { recursive: true, withFileTypes: true });
const paths = found
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(template.length + 1))
  .sort();

/** One of each folder whose files are all of one kind and are read in the same way. */
const ALIKE = ['targets/', 'evidence/'];
const cached = paths.filter((path, i) => {
  const folder = ALIKE.find((one) => path.startsWith(one));
  const isFirst = folder === undefined || paths.findIndex((one) => one.startsWith(folder)) === i;
  return isFirst && !['floors.json', 'pinned-root.json'].includes(path);
});

const TRUST = ['floors.json', 'pinned-root.json'];

t.test('the survey has every kind of file that is kept', async (t) => {
  for (const pattern of [
    /^floors\.json$/,
    /^pinned-root\.json$/,
    /^revocations\.json$/,
    /^targets-note\.json$/,
    /^lock$/,
    /^metadata\/timestamp\.json$/,
    /^metadata\/snapshot\.json$/,
    /^metadata\/targets\.json$/,
    /^metadata\/acme\.json$/,
    /^metadata\/revocations\.json$/,
    /^roots\/2\.json$/,
    /^evidence\/[0-9a-f]{64}$/,
    /^targets\/[0-9a-f]{64}$/,
    /^downloads\/[0-9a-f]{3}$/,
  ])
    t.ok(
      paths.some((path) => pattern.test(path)),
      String(pattern),
    );
});

for (const [kind, make] of Object.entries(KINDS)) {
  t.test(`${kind} in the place of what is trusted`, async (t) => {
    for (const path of TRUST) {
      const one = await scene();
      await rm(one.at(path));
      if (!(await make(one.at(path)))) {
        t.pass('this machine cannot make one');
        return;
      }
      const isReadable = kind.startsWith('a file') && isRoot;
      const code = kind.startsWith('a file') && !isRoot ? 'E_IO' : 'E_STORE';
      for (const online of [true, false]) {
        await t.rejects(work(one, online), { code }, `${path}, ${online ? 'online' : 'offline'}`);
        const before = await lstat(one.at(path));
        t.equal(before.mode, (await lstat(one.at(path))).mode, 'and it stands there still');
      }
      // Beside a pin that is whole, to pin the same again is nothing new, and reads no floor's content.
      if (path === 'pinned-root.json' || !kind.startsWith('a file'))
        await t.rejects(one.machine.fresh().pin(sim.roots.get(1) as Uint8Array), { code });
      const findings = await examine(used(one, true));
      t.ok(
        findings.some(({ state, advice }) => state === 'broken' && advice !== undefined),
        `${path}: the doctor says what to restore`,
      );
      await repair(used(one, true), findings);
      if (!isReadable) await t.rejects(work(one, true), { code }, 'and makes nothing up');
    }
  });

  t.test(`${kind} in the place of what is a cache`, async (t) => {
    for (const path of cached) {
      const one = await scene();
      const whole = await readFile(one.at(path));
      await rm(one.at(path));
      if (!(await make(one.at(path)))) {
        t.pass('this machine cannot make one');
        return;
      }
      const place = one.at(path);
      const isLock = path === 'lock' || path.startsWith('downloads/');
      const isFile = kind.startsWith('a file');

      // The doctor sees it, and mends it on a copy of this state.
      const findings = await examine(used(one, true));
      if (!(isFile && isRoot))
        t.match(
          findings.find(({ subject }) => subject === path),
          { state: 'heals', advice: /--repair/ },
          `${path}: the doctor knows`,
        );

      // Offline: what the work needs is refused with a code, or is not needed.
      const offline = await work(one, false).then(
        () => undefined,
        (error) => error,
      );
      if (offline !== undefined) {
        t.ok(isIronError(offline), `${path}: ${offline}`);
        if (!isFile && !isLock) t.notMatch(offline.code, /E_IO|E_INTERNAL/, path);
      }

      // With the network it heals and says so, or, of a lock, nothing is guessed.
      if (isLock && !isFile) {
        if (path === 'lock') await t.rejects(work(one, true), { code: 'E_IO', hint: /remove it/ });
        await repair(used(one, true), findings);
      }
      one.said.length = 0;
      await work(one, true);
      if (/^(metadata|roots)\//.test(path) && !(isFile && isRoot))
        t.match(one.said, [/is of no use/], `${path}: said, once`);
      t.ok(equalBytes(await readFile(out), DRIVER));
      if (/^(metadata|roots|evidence)\/|^revocations/.test(path) && !isFile) {
        t.ok((await lstat(place)).isFile(), `${path} is a file again`);
        t.ok(equalBytes(await readFile(place), whole), `${path} is what it was`);
      }
      if (kind === 'a link to a file')
        t.equal(await readFile(`${place}.elsewhere`, 'utf8'), 'of somebody else', 'not followed');

      // And what nothing used is the doctor's.
      await repair(used(one, true), await examine(used(one, true)));
      const left = await examine(used(one, true));
      t.notOk(
        left.some(({ subject, state }) => subject === path && state !== 'ok'),
        `${path}: nothing is left to say`,
      );
      t.strictSame(
        left.filter(({ state }) => state === 'broken'),
        [],
        path,
      );
    }
  });
}

t.test('offline, what is gone or unreadable here is no fault of a repository', async (t) => {
  for (const [path, gone] of [
    ['roots/2.json', 'E_STORE'],
    ['metadata/timestamp.json', 'E_NOT_FOUND'],
    ['metadata/acme.json', 'E_NOT_FOUND'],
    ['revocations.json', 'E_REVOCATIONS_MISSING'],
  ] as const) {
    const one = await scene();
    await rm(one.at(path));
    await t.rejects(work(one, false), { code: gone }, `${path} is gone`);
    await mkdir(one.at(path));
    const why = { code: 'E_STORE', message: /is of no use/, hint: /doctor --repair/ };
    await t.rejects(work(one, false), why, `${path} is a folder`);
    await work(one, true);
    await work(one, false);
  }
});

t.test('something else in the place of the folders of the cache', async (t) => {
  const folders = [...new Set(paths.map(dirname))].filter((path) => path !== '.');
  t.strictSame(folders.sort(), ['downloads', 'evidence', 'metadata', 'roots', 'targets']);
  for (const kind of ['a link to a file', 'a link to nothing', 'a link to itself', 'a pipe']) {
    for (const path of folders) {
      const one = await scene();
      await rm(one.at(path), { recursive: true });
      if (!(await KINDS[kind]?.(one.at(path)))) continue;
      const offline = await work(one, false).catch((error) => error);
      if (path === 'metadata' || path === 'roots') t.ok(isIronError(offline), path);
      // To download, also from what is stored, its folder of locks was needed, and is there again.
      if (path === 'downloads') t.notOk(isIronError(offline));
      else
        t.match(
          (await examine(used(one, true))).find(({ subject }) => subject === path),
          { state: 'heals', what: /where a folder belongs/ },
          `${kind}, ${path}`,
        );
      await work(one, true);
      await repair(used(one, true), await examine(used(one, true)));
      t.notOk(
        (await examine(used(one, true))).some(({ state }) => state !== 'ok' && state !== 'note'),
      );
      await work(one, true);
    }
  }
});

t.test(
  'a folder of the cache that is a link is replaced, and what it led to is left alone',
  async (t) => {
    const one = await scene();
    const elsewhere = join(home, 'elsewhere');
    await mkdir(elsewhere);
    await writeFile(join(elsewhere, 'timestamp.json'), 'of somebody else');
    await rm(one.at('metadata'), { recursive: true });
    await symlink(elsewhere, one.at('metadata'));
    await work(one, true);
    t.ok((await lstat(one.at('metadata'))).isDirectory());
    t.strictSame(await readdir(elsewhere), ['timestamp.json']);
    t.equal(await readFile(join(elsewhere, 'timestamp.json'), 'utf8'), 'of somebody else');
  },
);
