/** Channels, rollouts and withdrawal over the command line, to the real service. */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { hashPrefixed } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { loadFileSigner } from '../../shared/node/signers/file.ts';
import { parseIndex } from '../../shared/product/index-file.ts';
import { formatMetadata, objectMember, sign, withFields } from '../../shared/tuf/build.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { ironport, Scene, vendor } from './support.ts';

const scene = new Scene(t.testdir());
await scene.start();
t.teardown(() => scene.stop());
await scene.admit('acme', 2);
await writeFile(scene.at('edu.js'), 'the driver');
await writeFile(scene.at('next.js'), 'the next driver');
await writeFile(scene.at('notes.txt'), 'Writes are kept now.\n');

const INDEX = 'acme/edu/index/index.json';
const to = (...more: string[]): string[] => [
  ...['--dir', scene.at('acme'), '--repository', scene.url],
  ...more,
];

async function published(): Promise<ReturnType<typeof parseIndex>> {
  const role = parseTargets(await readFile(scene.at('acme', 'signed', 'published.json')), 'acme');
  const sha256 = role.entry(INDEX)?.hashes.get('sha256') ?? '';
  const path = scene.at('repo', 'tree', 'targets', hashPrefixed(INDEX, sha256));
  return parseIndex(await readFile(path), INDEX);
}

t.test('publish keeps the index', async (t) => {
  const { data } = await vendor(...scene.publishing('edu.js', '1.0.0', ...scene.root));
  t.match(data, { channel: 'testing', rollout_percent: 100, published: true });
  await vendor(
    ...scene.publishing('next.js', '1.1.0', '--as', 'edu.js', '--channel', 'stable'),
    ...['--rollout', '10%', '--notes', scene.at('notes.txt')],
    ...['--fixes', 'CVE-2030-1234', '--fixes', 'CVE-2030-12345'],
  );
  t.match(await published(), {
    revision: 2,
    entries: [
      { path: 'acme/edu/1.0.0/edu.js', channel: 'testing', rolloutPercent: 100, generation: 1 },
      {
        version: '1.1.0',
        channel: 'stable',
        rolloutPercent: 10,
        notes: 'Writes are kept now.',
        fixes: ['CVE-2030-1234', 'CVE-2030-12345'],
        devices: [{ vendor: 0x1234, device: 0x11e8 }],
        abi: { min: 1, max: 1 },
      },
    ],
  });
});

t.test('what is not of the form is refused before anything is signed', async (t) => {
  const before = await readFile(scene.at('acme', 'signed', 'last.json'));
  for (const wrong of [
    ['--channel', 'nightly'],
    ['--rollout', '101%'],
    ['--rollout', '-1'],
    ['--fixes', 'CVE'],
  ]) {
    const { error } = await ironport(...scene.publishing('edu.js', '3.0.0', ...wrong));
    t.match(error, { code: 'E_USAGE' }, wrong.join(' '));
  }
  for (const release of ['edu', 'edu@', '@1.0.0', 'evil/edu@1.0.0', 'edu@1.0.0@2']) {
    const { error } = await ironport('promote', release, '--rollout', '5%', ...to());
    t.match(error, { code: 'E_USAGE' }, release);
  }
  t.match((await ironport('promote', 'edu@1.0.0', ...to())).error, { code: 'E_USAGE' });
  t.match((await ironport('promote', 'edu@9', '--rollout', '5%', ...to())).error, {
    code: 'E_TARGET_UNKNOWN',
  });
  t.match((await ironport('promote', 'net@9', '--rollout', '5%', ...to())).error, {
    code: 'E_TARGET_UNKNOWN',
  });
  t.same(await readFile(scene.at('acme', 'signed', 'last.json')), before);
});

t.test('promote is a signature of the vendor', async (t) => {
  const { data } = await vendor(
    ...['promote', 'acme/edu@1.0.0', '--channel', 'stable', '--rollout', '100%', ...to()],
  );
  t.match(data, { published: true, revision: 3, versions: [{ channel: 'stable' }], removed: [] });
  t.match((await published()).entries, [{ channel: 'stable' }, { rolloutPercent: 10 }]);
  const again = await ironport('promote', 'edu@1.0.0', '--channel', 'stable', ...to());
  t.match(again.error, { code: 'E_NOTHING_TO_DO' });
  t.equal(again.exit, 3);
});

t.test('withdraw takes the entries away, for ever; the bytes stay', async (t) => {
  const { data } = await vendor(
    ...['withdraw', 'edu@1.0.0', '--reason', 'loses writes', '--superseded-by', '1.1.0', ...to()],
  );
  t.match(data, { published: true, versions: [{ withdrawn: { reason: 'loses writes' } }] });
  t.equal(data.removed.length, 5, 'the artifact and its four sidecars');
  const role = parseTargets(await readFile(scene.at('acme', 'signed', 'published.json')), 'acme');
  t.notOk(role.paths().some((path) => path.startsWith('acme/edu/1.0.0/')));
  const { entries } = await published();
  const old = hashPrefixed('acme/edu/1.0.0/edu.js', entries[0]?.sha256 ?? '');
  t.same(await readFile(scene.at('repo', 'tree', 'targets', old), 'utf8'), 'the driver');
  t.match((await ironport(...scene.publishing('edu.js', '1.0.0'))).error, { code: 'E_WITHDRAWN' });
  const again = await ironport('withdraw', 'edu@1.0.0', '--reason', 'x', ...to());
  t.match(again.error, { code: 'E_NOTHING_TO_DO' });
});

/** A role that the vendor's own key signed, but not the vendor's tool. */
async function forge(
  edit: (targets: Record<string, unknown>) => void,
  out: string,
): Promise<string> {
  const path = scene.at('acme', 'signed', 'published.json');
  const role = parseTargets(await readFile(path), 'acme');
  const targets = Object.fromEntries(Object.entries(objectMember(role.envelope.tree, 'targets')));
  edit(targets);
  const tree = withFields(role.envelope.tree, {
    version: role.version + 1,
    targets: targets as ReturnType<typeof objectMember>,
  });
  const signer = await loadFileSigner(scene.at('acme', 'keys', 'tuf-1.json'));
  const signatures = await sign(platformCrypto, tree, [signer]);
  await writeFile(scene.at(out), formatMetadata(tree, signatures));
  return scene.at(out);
}

t.test('the service refuses a role whose index is not true', async (t) => {
  const lost = await forge((targets) => delete targets[INDEX], 'lost.json');
  t.match((await ironport('sign', lost, '--yes', ...to())).error, { code: 'E_CONFLICT' });
  const untrue = await forge((targets) => delete targets['acme/edu/1.1.0/edu.js'], 'untrue.json');
  // Its sidecars would stand beside nothing: that is found first.
  t.match((await ironport('sign', untrue, '--yes', ...to())).error, { code: /./ });
  const one = parseTargets(await readFile(scene.at('acme', 'signed', 'published.json')), 'acme');
  t.ok(one.entry(INDEX), 'nothing was published');
});

t.test('the service refuses a withdrawn name that reappears', async (t) => {
  const { error } = await ironport(
    ...[
      'sign',
      await forge((targets) => {
        for (const [path, entry] of Object.entries(targets))
          if (path.startsWith('acme/edu/1.1.0/')) targets[path.replace('1.1.0', '1.0.0')] = entry;
      }, 'back.json'),
      '--yes',
    ],
    ...to(),
  );
  // The bytes of another version under the old name: refused twice over.
  t.ok(['E_EXISTS', 'E_WITHDRAWN'].includes(error?.code ?? ''));
});

t.test('the vendor refuses an index that does not follow the one it saw', async (t) => {
  const place = join(scene.at('acme'), 'signed', 'index', 'edu.json');
  const seen = await readFile(place);
  const tree = JSON.parse(seen.toString());
  tree.revision = 99;
  await writeFile(place, utf8(JSON.stringify(tree)));
  const { error } = await ironport('promote', 'edu@1.1.0', '--rollout', '50%', ...to());
  t.match(error, { code: 'E_ROLLBACK' });
  tree.revision = 1;
  // What this machine saw withdrawn, and what is published, disagree about 1.1.0.
  tree.versions[1].withdrawn = { at: '2026-01-01T00:00:00Z', reason: 'bad' };
  await writeFile(place, utf8(JSON.stringify(tree)));
  const back = await ironport('promote', 'edu@1.1.0', '--rollout', '50%', ...to());
  t.match(back.error, { code: 'E_WITHDRAWN' });
  await writeFile(place, seen);
  t.match((await vendor('promote', 'edu@1.1.0', '--rollout', '50%', ...to())).data, {
    published: true,
  });
});
