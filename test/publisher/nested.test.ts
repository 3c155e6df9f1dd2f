/** Nested roles by command line: nested, published into, signed by several, renewed, taken back. */

import { mkdtempSync, rmSync } from 'node:fs';
import { cp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { program as clientProgram } from '../../client/main.ts';
import { CODES } from '../../shared/errors.ts';
import { vendorFolder } from '../../shared/layout.ts';
import { parseSnapshot } from '../../shared/tuf/snapshot.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { run } from '../cli/support.ts';
import { ironport, operator, Scene, vendor } from './support.ts';

t.setTimeout(900_000);
const folder = mkdtempSync(join(tmpdir(), 'ironport-nested-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const scene = new Scene(folder);
await scene.start();
t.teardown(() => scene.stop());
await scene.admit('acme', 2);

const to = (dir = 'acme') => ['--dir', scene.at(dir), '--repository', scene.url];
const publishing = (product: string, version: string, dir = 'acme'): string[] => [
  ...['publish', scene.at('driver.bin'), '--product', product, '--version', version],
  ...['--ceiling', scene.at('ceiling.json'), ...to(dir)],
];
const metadata = (name: string) => readFile(scene.at('repo', 'tree', 'metadata', name));
const versionOf = async (role: string): Promise<number> => {
  const names = await readdir(scene.at('repo', 'tree', 'metadata'));
  const versions = names.flatMap((name) => /^(\d+)\.snapshot\.json$/.exec(name)?.[1] ?? []);
  const newest = await metadata(`${Math.max(...versions.map(Number))}.snapshot.json`);
  return parseSnapshot(newest).roles.get(role)?.version ?? 0;
};
const role = async (name: string) =>
  parseTargets(await metadata(`${await versionOf(name)}.${name}.json`), name);
const findings = async () => (await operator('fsck', '--dir', scene.at('repo'))).data.findings;
let stores = 0;
/** The chain of roles by which a new host verifies it. */
const chain = async (path: string): Promise<string> => {
  const store = join(folder, `store-${stores++}`);
  const root = scene.at('signed', '1.root.json');
  await run(clientProgram, ['init', '--store', store, '--root', root, '--repository', scene.url]);
  const words = ['get-verified', path, `${store}.out`, '--store', store, '--json'];
  const { exit, stdout } = await run(clientProgram, [new URL(scene.url).host, ...words]);
  const { data, error } = JSON.parse(stdout);
  return exit === 0 ? data.roles.join(' ') : error.code;
};
const code = async (...argv: string[]): Promise<string | undefined> =>
  (await ironport(...argv)).error?.code;

await writeFile(scene.at('driver.bin'), 'one driver');
await vendor(...publishing('edu', '1.0.0'), ...scene.root);
await vendor(...publishing('wifi6', '1.0.0'));

t.test('nest: entries and index of the paths move, all in one snapshot', async (t) => {
  const keysBefore = await readdir(scene.at('acme', 'keys'));
  const configBefore = await readFile(scene.at('acme', 'vendor.json'), 'utf8');
  for (const [what, wanted, ...argv] of [
    ['no path', 'E_USAGE', 'wifi'],
    ["a bin's name", 'E_NAME', 'b2-0', '--path', 'acme/wifi6/*/*'],
    ['a path of somebody else', 'E_DELEGATION', 'wifi', '--path', 'other/wifi6/*/*'],
    ['single files', 'E_DELEGATION', 'wifi', '--path', 'acme/wifi6/*/driver.bin'],
    ['both', 'E_USAGE', 'wifi', '--path', 'acme/wifi6/*/*', '--key', 'x', '--make-keys', '1'],
    ['no such key', 'E_NOT_FOUND', 'wifi', '--path', 'acme/wifi6/*/*', '--key', 'x'],
    ['keys too few', 'E_USAGE', 'wifi', '--path', 'acme/wifi6/*/*', '--threshold', '2'],
    ['keys too many', 'E_USAGE', 'wifi', '--path', 'acme/wifi6/*/*', '--make-keys', '65'],
    ['overlapping paths', 'E_DELEGATION', 'wifi', '--path', 'a/b/*/*', '--make-keys', '2'],
  ] as const)
    t.equal(await code('nest', ...argv, ...to()), wanted, what);
  t.same(
    await readdir(scene.at('acme', 'keys')),
    keysBefore,
    'no key was made for what is refused',
  );
  t.equal(await readFile(scene.at('acme', 'vendor.json'), 'utf8'), configBefore);
  t.equal(await versionOf('acme.wifi'), 0, 'nothing was published');
  const { data } = await vendor('nest', 'wifi', '--path', 'acme/wifi*/*/*', ...to());
  t.match(data, {
    ...{ nested_role: 'acme.wifi', role: 'acme', version: 3, moved: 6, threshold: 1 },
    ...{ nested: [{ role: 'acme.wifi', version: 1 }], published: true },
    signatures: { have: 2, need: 2 },
  });
  t.notOk((await role('acme')).paths().some((path) => path.startsWith('acme/wifi')));
  t.equal((await role('acme.wifi')).paths().length, 6, 'with its sidecars and its index');
  t.equal(await chain('acme/wifi6/1.0.0/driver.bin'), 'targets acme acme.wifi');
  t.equal(await chain('acme/edu/1.0.0/driver.bin'), 'targets acme');
  t.same(await findings(), []);
  t.equal(await code('nest', 'wifi', ...to()), 'E_NOTHING_TO_DO');
  t.equal(
    await code('nest', 'two', '--path', 'acme/wifi6/*/*', ...to()),
    'E_DELEGATION',
    'overlaps',
  );
  t.equal(await code('split', '--bins', '4', ...to()), 'E_DELEGATION', 'a role has either');
  t.equal(await code('unnest', 'none', ...to()), 'E_NOTHING_TO_DO');
});

t.test('a publication goes into the role of its path, and needs no other', async (t) => {
  const { data } = await vendor(...publishing('wifi7', '1.0.0'));
  t.match(data, {
    published: true,
    version: 3,
    bins: [],
    nested: [{ role: 'acme.wifi', version: 2 }],
  });
  t.equal(await chain('acme/wifi7/1.0.0/driver.bin'), 'targets acme acme.wifi');
  t.match((await vendor('promote', 'wifi7@1.0.0', '--channel', 'stable', ...to())).data, {
    nested: [{ role: 'acme.wifi', version: 3 }],
  });
  t.match((await vendor(...publishing('edu', '1.1.0'))).data, { version: 4, nested: [] });
  await writeFile(
    scene.at('list.json'),
    JSON.stringify({
      schema: 'ironport.artifact-list/v1',
      artifacts: ['wifi8', 'edu2'].map((product) => ({
        ...{ file: 'driver.bin', product, version: '1.0.0', ceiling: 'ceiling.json' },
      })),
    }),
  );
  const both = await vendor('publish-batch', scene.at('list.json'), ...to());
  t.match(both.data, { version: 5, nested: [{ role: 'acme.wifi', version: 4 }] });
  t.match((await vendor('withdraw', 'wifi8@1.0.0', '--reason', 'loses writes', ...to())).data, {
    removed: { length: 5 },
    nested: [{ role: 'acme.wifi', version: 5 }],
  });
  t.equal(await chain('acme/wifi8/1.0.0/driver.bin'), 'E_WITHDRAWN');
  t.equal(await code(...publishing('wifi7', '1.0.0')), 'E_NOTHING_TO_DO');
  await writeFile(scene.at('driver.bin'), 'other bytes');
  t.equal(await code(...publishing('wifi7', '1.0.0')), 'E_EXISTS');
  await writeFile(scene.at('driver.bin'), 'one driver');
  t.same(await findings(), []);
});

t.test('a team of its own signs with two keys, and has none of the vendor', async (t) => {
  await operator('key', 'make', '--out', scene.at('team-1.json'));
  await operator('key', 'make', '--out', scene.at('team-2.json'));
  // The vendor has only the public halves: it begins, the team finishes.
  const keys = [1, 2].flatMap((n) => ['--key', scene.at(`team-${n}.pub.json`)]);
  const begun = await vendor('nest', 'wifi', ...keys, '--threshold', '2', ...to());
  t.match(begun.data, {
    published: false,
    pending: { lacking: 2 },
    signatures: { have: 1, need: 3 },
  });
  t.match(begun.stderr, /\+ the key .* may sign for acme\.wifi/);
  t.equal(await chain('acme/wifi7/1.0.0/driver.bin'), 'targets acme acme.wifi', 'meanwhile');
  const { id } = begun.data.pending;
  // Their folders: the vendor's name, an API key, an evidence key, and one key of the role each.
  for (const n of [1, 2]) {
    const dir = scene.at(`team${n}`);
    await cp(scene.at('acme'), dir, { recursive: true });
    for (const file of await readdir(join(dir, 'keys')))
      if (/^(tuf|nested)/.test(file)) await rm(join(dir, 'keys', file));
    const config = JSON.parse(await readFile(join(dir, 'vendor.json'), 'utf8'));
    await writeFile(
      join(dir, 'vendor.json'),
      JSON.stringify({ ...config, nested: { wifi: [scene.at(`team-${n}.json`)] } }),
    );
  }
  const listed = await vendor('pending', 'list', ...to('team1'));
  t.match(listed.data.changes, [{ id, files: [{ role: 'acme' }, { role: 'acme.wifi' }] }]);
  const shown = await vendor('pending', 'show', id, ...to('team1'));
  t.match(shown.stderr, /this is what acme changes/);
  t.match(shown.stderr, /this is what acme\.wifi changes/);
  t.equal(await code('pending', 'show', id, '--out', scene.at('x'), ...to('team1')), 'E_USAGE');
  t.match((await vendor('pending', 'sign', id, '--yes', ...to('team1'))).data, {
    state: 'open',
    lacking: 1,
  });
  const last = await vendor('pending', 'sign', id, '--yes', ...to('team2'));
  t.match(last.data, { state: 'published', lacking: 0 });
  t.equal((await role('acme')).delegations?.roles[0]?.threshold, 2);
  t.same(await findings(), []);

  t.equal(await code(...publishing('wifi7', '2.0.0')), 'E_KEY', 'the vendor itself cannot');
  const published = await vendor(...publishing('wifi7', '2.0.0', 'team1'));
  t.match(published.data, {
    published: false,
    nested: [{ role: 'acme.wifi' }],
    file: null,
    pending: { lacking: 1 },
  });
  t.equal(
    await code('pending', 'sign', published.data.pending.id, '--yes', ...to('acme')),
    'E_KEY',
  );
  t.match(
    (await vendor('pending', 'sign', published.data.pending.id, '--yes', ...to('team2'))).data,
    {
      state: 'published',
    },
  );
  t.equal(await chain('acme/wifi7/2.0.0/driver.bin'), 'targets acme acme.wifi');
  t.match(
    await code(...publishing('edu', '2.0.0', 'team1')),
    /E_KEY/,
    'the team cannot sign for others',
  );
});

t.test('renew: each folder what it can sign', async (t) => {
  const before = await versionOf('acme.wifi');
  const own = await vendor('renew', ...to());
  t.match(own.data, { role: 'acme', published: undefined, nested: [] });
  t.match(own.data.left, [{ role: 'acme.wifi', why: 'elsewhere', expires: /^\d{4}-/ }]);
  t.equal(own.exit, 0, 'others renew it');
  t.match(own.stderr, 'no key of acme.wifi is in this folder');
  t.equal(await versionOf('acme.wifi'), before);
  // One that is not there keeps nobody from renewing the rest.
  const file = scene.at('repo', 'tree', 'metadata', `${before}.acme.wifi.json`);
  await rename(file, `${file}.away`);
  const without = await vendor('renew', ...to());
  await rename(`${file}.away`, file);
  t.same(without.data.left, [{ role: 'acme.wifi', why: 'elsewhere' }]);
  t.match(without.stderr, 'what is published of acme.wifi cannot be read: E_');
  t.equal(await code('renew', ...to('team2')), undefined, 'it signed this last');
  const drafts = (await vendor('pending', 'list', ...to('team1'))).data.changes;
  t.match(drafts, [{ files: [{ role: 'acme.wifi', version: before + 1 }], lacking: 1 }]);
  await vendor('pending', 'sign', drafts[0].id, '--yes', ...to('team1'));
  t.equal(await versionOf('acme.wifi'), before + 1);
  t.same(await findings(), []);
});

t.test('renew: what others signed last is left, and the rest goes on', async (t) => {
  const [own, nested] = [await versionOf('acme'), await versionOf('acme.wifi')];
  // A folder with the vendor's keys and one of the team's, which did not sign the nested role last.
  await cp(scene.at('acme'), scene.at('both'), { recursive: true });
  const path = scene.at('both', 'vendor.json');
  const config = JSON.parse(await readFile(path, 'utf8'));
  const withKey = (key: string) =>
    writeFile(path, JSON.stringify({ ...config, nested: { wifi: [scene.at(key)] } }));
  await withKey('team-1.json');
  const renewed = await ironport('renew', ...to('both'));
  t.equal(renewed.exit, CODES.E_CONFLICT.exit, 'a timer hears of it');
  const left = (why: string) => ({ left: [{ role: 'acme.wifi', why }] });
  t.match(renewed.data, { role: 'acme', nested: [], ...left('unknown') });
  t.match(
    renewed.stderr,
    'acme.wifi says what was not signed in this folder, and is left as it is',
  );
  // One whose key never counted.
  await operator('key', 'make', '--out', scene.at('stranger.json'));
  await withKey('stranger.json');
  const useless = await ironport('renew', '--adopt', ...to('both'));
  t.equal(useless.exit, CODES.E_CONFLICT.exit);
  t.match(useless.data, { role: 'acme', nested: [], ...left('keys') });
  t.match(useless.stderr, 'no key that vendor.json names for acme.wifi is here and counts on it');
  t.same([await versionOf('acme'), await versionOf('acme.wifi')], [own + 2, nested]);
  // The folder of the vendor has seen neither.
  t.match((await vendor('renew', '--adopt', ...to())).data, { role: 'acme' });
  // A team that sees it for the first time has nothing else to renew.
  await cp(scene.at('team1'), scene.at('newcomer'), { recursive: true });
  await rm(scene.at('newcomer', vendorFolder.signedBins));
  t.equal(await code('renew', ...to('newcomer')), 'E_CONFLICT');
  t.equal(await versionOf('acme.wifi'), nested);
});

t.test('one key more, by those who can sign alone', async (t) => {
  // Back to one key in the vendor's own folder, made there.
  t.equal(
    await code('nest', 'wifi', '--make-keys', '1', '--threshold', '1', ...to()),
    'E_CONFLICT',
    'the team signed last',
  );
  const { data } = await vendor(
    'nest',
    'wifi',
    '--make-keys',
    '1',
    '--threshold',
    '1',
    '--adopt',
    ...to(),
  );
  t.match(data, { published: true, threshold: 1, moved: 0 });
  const renewed = await vendor('renew', ...to());
  t.match(renewed.data.nested, [{ role: 'acme.wifi', published: true }]);
  t.same(renewed.data.left, []);
  t.equal(
    await code(...publishing('wifi7', '3.0.0', 'team1')),
    'E_KEY',
    'the keys of the team are gone',
  );
  t.match((await vendor(...publishing('wifi7', '3.0.0'))).data, { published: true });
  t.equal(await chain('acme/wifi7/2.0.0/driver.bin'), 'targets acme acme.wifi');
});

t.test(
  'unnest: entries come back, the name stays, and goes on when it is nested again',
  async (t) => {
    const before = await versionOf('acme.wifi');
    const { data } = await vendor('unnest', 'wifi', ...to());
    t.match(data, { nested_role: 'acme.wifi', published: true, nested: [] });
    t.ok(data.moved > 10);
    t.equal((await role('acme')).delegations, undefined);
    t.equal(await versionOf('acme.wifi'), before);
    t.equal(await chain('acme/wifi7/3.0.0/driver.bin'), 'targets acme');
    t.match((await vendor(...publishing('wifi7', '4.0.0'))).data, { published: true, nested: [] });
    t.same(await findings(), []);
    // What it last listed is old by now: the index has gone on, and goes on.
    const again = await vendor('nest', 'wifi', '--path', 'acme/wifi7/*/*', ...to());
    t.match(again.data, { nested: [{ role: 'acme.wifi', version: before + 1 }] });
    t.equal(await chain('acme/wifi7/4.0.0/driver.bin'), 'targets acme acme.wifi');
    t.equal(await chain('acme/wifi6/1.0.0/driver.bin'), 'targets acme');
    const wider = await vendor('nest', 'wifi', '--path', 'acme/wifi*/*/*', ...to());
    t.match(wider.data, { published: true, nested: [{ version: before + 2 }] });
    t.equal(await chain('acme/wifi6/1.0.0/driver.bin'), 'targets acme acme.wifi');
    t.same(await findings(), []);
  },
);

t.test('a folder whose keys are damaged, or whose vendor.json is', async (t) => {
  const path = scene.at('acme', 'vendor.json');
  const config = JSON.parse(await readFile(path, 'utf8'));
  for (const nested of [{ 'a.b.c.d': [] }, { wifi: 'x' }, { wifi: [1] }, []]) {
    await writeFile(path, JSON.stringify({ ...config, nested }));
    t.equal(await code('renew', ...to()), 'E_CONFIG', JSON.stringify(nested));
  }
  await writeFile(path, JSON.stringify(config));
  const key = scene.at('acme', config.nested.wifi[0]);
  await rename(key, `${key}.away`);
  t.equal(await code(...publishing('wifi7', '9.0.0')), 'E_KEY');
  await rename(`${key}.away`, key);
  t.match((await vendor(...publishing('wifi7', '9.0.0'))).data, { published: true });
});
