/** A role nested in a nested one, and divided into bins, by command line: made, published into, renewed, taken back. */

import { mkdirSync } from 'node:fs';
import { cp, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { program as clientProgram } from '../../client/main.ts';
import { parseSnapshot } from '../../shared/tuf/snapshot.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { run } from '../cli/support.ts';
import { temporaryHome } from '../server/support.ts';
import { ironport, operator, Scene, vendor } from './support.ts';

t.setTimeout(900_000);
const scene = new Scene(temporaryHome(t));
mkdirSync(scene.at('repo', 'private', 'keys'), { recursive: true, mode: 0o700 });
await scene.start();
t.teardown(() => scene.stop());
await scene.admit('acme', 2);
const to = (dir = 'acme') => ['--dir', scene.at(dir), '--repository', scene.url];
const publishing = (product: string, version: string, dir = 'acme'): string[] => [
  ...['publish', scene.at('driver.bin'), '--product', product, '--version', version],
  ...['--ceiling', scene.at('ceiling.json'), ...to(dir)],
];
const metadata = (name: string) => readFile(scene.at('repo', 'tree', 'metadata', name));
const roles = async () => {
  const names = await readdir(scene.at('repo', 'tree', 'metadata'));
  const versions = names.flatMap((name) => /^(\d+)\.snapshot\.json$/.exec(name)?.[1] ?? []);
  return parseSnapshot(await metadata(`${Math.max(...versions.map(Number))}.snapshot.json`)).roles;
};
const versionOf = async (role: string): Promise<number> => (await roles()).get(role)?.version ?? 0;
const findings = async () => (await operator('fsck', '--dir', scene.at('repo'))).data.findings;
let stores = 0;
/** The chain of roles by which a new host verifies it. */
const chain = async (path: string): Promise<string> => {
  const store = join(scene.folder, `store-${stores++}`);
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
await vendor(...publishing('wifi-ax', '1.0.0'));
await vendor('nest', 'wifi', '--path', 'acme/wifi*/*/*', ...to());
const AX = 'acme/wifi-ax/1.0.0/driver.bin';

t.test('a nested role gives some of its paths on', async (t) => {
  for (const [what, wanted, ...argv] of [
    ['four deep', 'E_NAME', 'wifi.ax.usb.one', '--path', 'acme/wifi-ax/*/*'],
    ["a bin's name", 'E_NAME', 'wifi.b2-0', '--path', 'acme/wifi-ax/*/*'],
    ['in none', 'E_DELEGATION', 'net.ax', '--path', 'acme/wifi-ax/*/*'],
    ['beyond its own', 'E_DELEGATION', 'wifi.ax', '--path', 'acme/edu/*/*'],
    ['all of it and more', 'E_DELEGATION', 'wifi.ax', '--path', 'acme/*/*/*'],
    ['no paths', 'E_USAGE', 'wifi.ax'],
  ] as const)
    t.equal(await code('nest', ...argv, ...to()), wanted, what);
  const own = await versionOf('acme');
  const { data } = await vendor('nest', 'wifi.ax', '--path', 'acme/wifi-ax*/*/*', ...to());
  t.match(data, {
    ...{ nested_role: 'acme.wifi.ax', nested_in: 'acme.wifi', role: 'acme.wifi', version: 2 },
    ...{ published: true, nested: [{ role: 'acme.wifi.ax', version: 1 }] },
  });
  t.ok(data.moved >= 6);
  t.equal(await versionOf('acme'), own, "the vendor's own has no part in it");
  t.equal(await chain(AX), 'targets acme acme.wifi acme.wifi.ax');
  t.equal(await chain('acme/wifi6/1.0.0/driver.bin'), 'targets acme acme.wifi');
  t.match((await vendor(...publishing('wifi-ax', '1.1.0'))).data, {
    nested: [{ role: 'acme.wifi.ax', version: 2 }],
  });
  t.same(await findings(), []);
  t.equal(await code('nest', 'wifi.ax', ...to()), 'E_NOTHING_TO_DO');
  t.equal(await code('unnest', 'wifi', ...to()), 'E_DELEGATION', 'what stands below comes first');
  t.equal(await code('nest', 'wifi', '--path', 'acme/wifi6/*/*', ...to()), 'E_DELEGATION');
  t.equal(await code('split', '--role', 'wifi', '--bins', '2', ...to()), 'E_DELEGATION');
});

t.test('a nested role is divided into bins of its own', async (t) => {
  t.equal(await code('split', '--role', 'net', '--bins', '4', ...to()), 'E_DELEGATION');
  const { data } = await vendor('split', '--role', 'wifi.ax', '--bins', '4', ...to());
  t.match(data, { role: 'acme.wifi.ax', version: 3, bins: 4 });
  t.match(await chain(AX), /^targets acme acme\.wifi acme\.wifi\.ax acme\.wifi\.ax\.b2-[0-3]$/);
  t.same(await findings(), []);
  t.equal(await code('split', '--role', 'wifi.ax', '--bins', '4', ...to()), 'E_NOTHING_TO_DO');
  t.equal(await code('unnest', 'wifi.ax', ...to()), 'E_DELEGATION', 'its entries stand in bins');
  t.equal(
    await code('nest', 'wifi.ax.usb', '--path', 'acme/wifi-ax/2*/*', ...to()),
    'E_DELEGATION',
    'bins or nested roles',
  );
  const before = await roles();
  const published = (await vendor(...publishing('wifi-ax', '1.2.0'))).data;
  t.ok(published.bins.length > 0);
  const touched = new Set(published.bins.map(({ role }: { role: string }) => role));
  for (const [role, { version }] of await roles())
    if (role.startsWith('acme'))
      t.equal(version, (before.get(role)?.version ?? 0) + (touched.has(role) ? 1 : 0), role);
  t.match(await chain('acme/wifi-ax/1.2.0/driver.bin'), /^targets acme acme\.wifi acme\.wifi\.ax /);
  await vendor('withdraw', 'wifi-ax@1.1.0', '--reason', 'loses frames', ...to());
  t.not((await chain('acme/wifi-ax/1.1.0/driver.bin')).startsWith('targets'), true);
  t.same(await findings(), []);
});

t.test('all of it is renewed, however deep', async (t) => {
  const before = await roles();
  const { data } = await vendor('renew', ...to());
  t.match(data.nested, [
    { role: 'acme.wifi', published: true },
    { role: 'acme.wifi.ax', published: true, bins: 4 },
  ]);
  t.same(data.left, []);
  for (const [role, { version }] of await roles())
    if (role.startsWith('acme')) t.equal(version, (before.get(role)?.version ?? 0) + 1, role);
  t.same(await findings(), []);
});

t.test('two of a team finish one another’s work on a nested role and its bins', async (t) => {
  await cp(scene.at('acme'), scene.at('second'), { recursive: true });
  const { data } = await vendor(
    ...['nest', 'wifi.ax', '--make-keys', '2', '--threshold', '2', ...to()],
  );
  t.match(data, { published: true, threshold: 2, moved: 0 });
  t.match(await chain(AX), /acme\.wifi\.ax\.b2-/, 'its bins stay as they are');
  // The two keys are divided between two folders, each of which has none of the others.
  const config = JSON.parse(await readFile(scene.at('acme', 'vendor.json'), 'utf8'));
  const [one, two] = config.nested['wifi.ax'];
  await cp(scene.at('acme'), scene.at('second'), { recursive: true, force: true });
  await rename(scene.at('acme', two), scene.at('away-2.json'));
  await rename(scene.at('second', one), scene.at('away-1.json'));
  const sign = async (draft: string, dir = 'second') =>
    (await ironport('pending', 'sign', draft, '--yes', ...to(dir))).data;

  const split = await vendor('split', '--role', 'wifi.ax', '--bins', '4', ...to());
  t.match(split.data, { published: false, bins: 4, pending: { lacking: 5 } }, 'by the new keys');
  t.match(await sign(split.data.pending.id), { state: 'published' });
  const published = await vendor(...publishing('wifi-ax', '2.0.0'));
  t.match(published.data, { published: false });
  const shown = await ironport('pending', 'show', published.data.pending.id, ...to('second'));
  t.match(shown.stderr, /this is what \d bins of acme\.wifi\.ax change/);
  t.match(shown.stderr, '+ acme/wifi-ax/2.0.0/driver.bin is listed');
  t.match(await sign(published.data.pending.id), { state: 'published' });
  t.match(await chain('acme/wifi-ax/2.0.0/driver.bin'), /acme\.wifi\.ax\.b2-/);

  const renewed = await vendor('renew', ...to());
  t.match(renewed.data.nested, [
    { role: 'acme.wifi', published: true },
    { role: 'acme.wifi.ax', published: false, bins: 4, pending: { lacking: 5 }, also_pending: [] },
  ]);
  t.match(await sign(renewed.data.nested[1].pending.id), { state: 'published' });
  t.same(await findings(), []);
});

t.test('a single file of a nested role is signed where there is no network', async (t) => {
  const gathered = await vendor('split', '--role', 'wifi.ax', '--bins', '1', ...to());
  t.match(gathered.data, { published: false, bins: 1 });
  const file = scene.at('carried.json');
  const { id } = gathered.data.pending;
  await vendor('pending', 'show', id, '--out', file, ...to('second'));
  const before = scene.at('before.json');
  await writeFile(before, await metadata(`${await versionOf('acme.wifi.ax')}.acme.wifi.ax.json`));
  const role = ['--role', 'wifi.ax'];
  const dir = ['--dir', scene.at('second')];
  t.equal(await code('sign', file, '--role', 'wifi', ...to('second'), '--yes'), 'E_VERSION');
  t.equal(await code('sign', file, '--role', 'net', ...to('second'), '--yes'), 'E_NOT_AUTHORISED');
  t.equal(await code('sign', file, '--role', 'b2-0', ...dir, '--yes'), 'E_NAME');
  t.equal(await code('sign', file, '--role', 'net', ...dir, '--yes'), 'E_KEY');
  const signed = await vendor('sign', file, ...role, '--against', before, ...dir, '--yes');
  t.match(signed.data, { role: 'acme.wifi.ax', published: false });
  t.match(signed.stderr, /acme\.wifi\.ax/);
  const brought = await vendor('sign', file, ...role, ...to('second'), '--yes');
  t.match(brought.data, { role: 'acme.wifi.ax', published: true, signatures: { have: 2 } });
  t.equal(await chain(AX), 'targets acme acme.wifi acme.wifi.ax');
  t.equal(
    parseTargets(await metadata(`${await versionOf('acme.wifi.ax')}.acme.wifi.ax.json`), 'x')
      .delegations,
    undefined,
  );
});

t.test('taken back, from the deepest up', async (t) => {
  t.match((await vendor('unnest', 'wifi.ax', ...to())).data, {
    ...{ nested_role: 'acme.wifi.ax', nested_in: 'acme.wifi', published: true },
  });
  t.equal(await chain(AX), 'targets acme acme.wifi');
  const version = await versionOf('acme.wifi.ax');
  t.match((await vendor('unnest', 'wifi', ...to())).data, { published: true });
  t.equal(await chain(AX), 'targets acme');
  t.equal(await versionOf('acme.wifi.ax'), version, 'names stay');
  t.same(await findings(), []);
});
