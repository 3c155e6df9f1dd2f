/** Publishing over the command line, to the real service. */

import { randomBytes } from 'node:crypto';
import { cp, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import { FaultyProxy } from './faulty-proxy.ts';
import { ironport, Scene, vendor } from './support.ts';

const proxy = new FaultyProxy();
const name = await proxy.listen();
const scene = new Scene(t.testdir(), [name]);
await scene.start();
t.teardown(async () => {
  proxy.close();
  await scene.stop();
});
await scene.admit('acme', 2);
const content = randomBytes(3_000_000);
await writeFile(scene.at('edu.js'), content);
await writeFile(scene.at('small.js'), 'second');

t.test('without a pinned root nothing is sent', async (t) => {
  const { error, exit } = await ironport(...scene.publishing('edu.js', '1.0.0'));
  t.match(error, { code: 'E_NO_PIN' });
  t.equal(exit, 7);
});

t.test('a first version is published', async (t) => {
  const { data, stderr } = await vendor(...scene.publishing('edu.js', '1.0.0', ...scene.root));
  t.match(data, {
    path: 'acme/edu/1.0.0/edu.js',
    length: content.length,
    version: 1,
    published: true,
    signatures: { have: 1, need: 1 },
  });
  t.ok(data.verdicts.length > 0 && data.verdicts.every(({ ok }: { ok: boolean }) => ok));
  for (const { check } of data.verdicts) t.match(stderr, `ok      ${check}: `);
  t.match(stderr, 'hashing edu.js: 2.9 MiB');
  t.match(stderr, 'uploading edu.js: 2.9 MiB');
  const folder = scene.at('repo', 'tree', 'targets', 'acme', 'edu', '1.0.0');
  t.same((await readdir(folder)).map((file) => file.slice(65)).sort(), [
    'edu.js',
    'edu.js.ceiling.json',
    'edu.js.intoto.jsonl',
    'edu.js.sigstore.json',
    'edu.js.spdx.json',
  ]);
  t.same(await readFile(`${folder}/${data.sha256}.edu.js`), content);
});

t.test('the next version goes on top of it, and a path keeps its bytes', async (t) => {
  const { data } = await vendor(...scene.publishing('small.js', '1.1.0', '--as', 'edu.js'));
  t.match(data, { path: 'acme/edu/1.1.0/edu.js', version: 2 });
  const same = await ironport(...scene.publishing('small.js', '1.1.0', '--as', 'edu.js'));
  t.match(same.error, { code: 'E_NOTHING_TO_DO' });
  const other = await ironport(...scene.publishing('edu.js', '1.1.0'));
  t.match(other.error, { code: 'E_EXISTS' });
});

t.test('an empty file is an artifact too', async (t) => {
  await writeFile(scene.at('empty.js'), '');
  t.match((await vendor(...scene.publishing('empty.js', '1.2.0'))).data, { length: 0, version: 3 });
});

t.test('a line that breaks is taken up where it broke', async (t) => {
  proxy.target = Number(new URL(scene.url).port);
  const big = randomBytes(4_000_000);
  await writeFile(scene.at('big.bin'), big);
  const quarantine = scene.at('repo', 'private', 'quarantine', 'acme');
  const held = async (): Promise<number> => {
    const parts = (await readdir(quarantine)).filter((file) => file.endsWith('.part'));
    const sizes = await Promise.all(parts.map((part) => stat(`${quarantine}/${part}`)));
    return Math.max(0, ...sizes.map(({ size }) => size));
  };
  proxy.cutAfter(1_500_000, async () => {
    while ((await held()) < 1_300_000) await setTimeout(20);
  });
  const { data } = await vendor(...scene.publishing('big.bin', '2.0.0', '--repository', name));
  t.equal(proxy.cuts, 1);
  t.match(data, { published: true, version: 4 });
  t.ok(proxy.passed < big.length + 400_000, `${proxy.passed} bytes were sent in all`);
  const folder = scene.at('repo', 'tree', 'targets', 'acme', 'edu', '2.0.0');
  t.same(await readFile(`${folder}/${data.sha256}.big.bin`), big);
});

t.test('a repository that is not there, or no repository, is said to be so', async (t) => {
  const to = (address: string) =>
    ironport(...scene.publishing('small.js', '9.0.0', '--repository', address));
  const gone = await to('127.0.0.1:1');
  t.match(gone.error, { code: 'E_NETWORK', why: /ECONNREFUSED/ });
  t.equal(gone.exit, 5);
  for (const address of ['ftp://x', 'http://u:p@x', 'http://x/path', 'http://', 'http://x?y'])
    t.match((await to(address)).error, { code: 'E_USAGE' });
});

const acme = (folder: string): string[] => ['--dir', scene.at(folder), '--repository', scene.url];

t.test('renew changes the date and nothing else', async (t) => {
  const { data, stderr } = await vendor('renew', ...acme('acme'));
  t.match(data, { version: 5, role: 'acme' });
  t.notMatch(stderr, 'warning');
  const role = async (version: number) =>
    JSON.parse(await readFile(scene.at('repo/tree/metadata', `${version}.acme.json`), 'utf8'))
      .signed;
  const { version: _, expires: __, ...before } = await role(4);
  const { version, expires, ...after } = await role(5);
  t.same(after, before);
  t.match({ version, expires }, { version: 5, expires: data.expires });
});

t.test('what another machine of the vendor published is shown before it is built on', async (t) => {
  await cp(scene.at('acme'), scene.at('second'), { recursive: true });
  await writeFile(scene.at('other.js'), 'from the second machine');
  const second = await vendor(
    ...scene.publishing('other.js', '3.0.0', '--dir', scene.at('second')),
  );
  t.equal(second.data.version, 6);

  const refused = await ironport('renew', ...acme('acme'));
  t.match(refused.error, { code: 'E_CONFLICT', message: /was not signed in this folder last/ });
  t.match(refused.stderr, 'warning: what is published was not signed here last');
  t.match(refused.stderr, '+ acme/edu/3.0.0/other.js is listed, 23 bytes');
  t.match((await vendor('renew', ...acme('acme'), '--adopt')).data, { version: 7 });
  t.notMatch((await vendor('renew', ...acme('acme'))).stderr, 'warning');
});

t.test('what intake refuses is told check by check, and made anew the next time', async (t) => {
  // The vendor believes to have more hardware than the operators gave it.
  const config = scene.at('acme', 'vendor.json');
  const good = await readFile(config, 'utf8');
  await writeFile(config, good.replace('PCI:0x1234:0x11e8', 'PCI:0x1af4'));
  const ceiling = await readFile(scene.at('ceiling.json'), 'utf8');
  await writeFile(scene.at('virtio.json'), ceiling.replaceAll('0x1234', '0x1af4'));
  const foreign = scene.publishing('small.js', '4.0.0', '--ceiling', scene.at('virtio.json'));
  const { error, exit, stderr } = await ironport(...foreign);
  t.match(error, { code: 'E_NOT_AUTHORISED' });
  t.equal(exit, 14);
  t.match(stderr, /warning: REFUSED .*PCI:0x1af4/);
  await writeFile(config, good);

  // What is published is the vendor's own work all the same, and can be renewed.
  t.match((await vendor('renew', ...acme('acme'))).data, { version: 9 });
  await writeFile(config, good.replace('PCI:0x1234:0x11e8', 'PCI:0x1af4'));
  t.match((await ironport(...foreign)).error, { code: 'E_NOT_AUTHORISED' });
  await writeFile(config, good);
  const again = await vendor(...scene.publishing('small.js', '4.0.0'));
  t.match(again.stderr, 'acme 10 was signed here and not published; it is made anew');
  t.match(again.data, { version: 10 });
});

t.test('a vendor that is not admitted is told so by its own client', async (t) => {
  const init = [
    'init',
    '--vendor',
    'nobody',
    '--dir',
    scene.at('nobody'),
    '--contact',
    'n@o.example',
  ];
  await vendor(...init, '--hardware-id', 'PCI:0x1234:0x11e8');
  const args = scene.publishing('small.js', '1.0.0', '--dir', scene.at('nobody'), ...scene.root);
  t.match((await ironport(...args)).error, { code: 'E_NOT_AUTHORISED', message: /did not admit/ });
});

t.test('two must sign: the one passes the role on to the other', async (t) => {
  await scene.admit('both', 3, '--tuf-keys', '2', '--threshold', '2');
  await cp(scene.at('both'), scene.at('both-2'), { recursive: true });
  await rename(scene.at('both', 'keys', 'tuf-2.json'), scene.at('away-2.json'));
  await rename(scene.at('both-2', 'keys', 'tuf-1.json'), scene.at('away-1.json'));
  const ceiling = await readFile(scene.at('ceiling.json'), 'utf8');
  const device = ceiling.replace('0x1234', '0x5678');
  await writeFile(scene.at('both.json'), device);
  const args = [...acme('both'), '--ceiling', scene.at('both.json'), ...scene.root];
  const first = await vendor(...scene.publishing('small.js', '1.0.0', ...args));
  t.match(first.data, { published: false, version: 1, signatures: { have: 1, need: 2 } });
  t.match(first.stderr, 'note: the tuf key keys/tuf-2.json is not here');

  const file = first.data.file;
  const half = scene.at('half.json');
  await cp(file, half);
  const alone = await vendor(
    'sign',
    '--yes',
    half,
    '--dir',
    scene.at('both-2'),
    '--out',
    scene.at('full.json'),
  );
  t.match(alone.data, { published: false, version: 1 });
  t.match(alone.stderr, '+ both/edu/1.0.0/small.js is listed');
  const foreign = await ironport('sign', '--yes', half, '--dir', scene.at('acme'));
  t.match(foreign.error, { code: 'E_NOT_AUTHORISED', message: /is not a role of acme/ });

  const other = await vendor('sign', '--yes', half, ...acme('both-2'), ...scene.root);
  t.match(other.data, { published: true, version: 1, signatures: { have: 2, need: 2 } });
  t.match(other.stderr, '+ both/edu/1.0.0/small.js is listed');
  const late = await ironport('sign', '--yes', half, ...acme('both-2'));
  t.match(late.error, { code: 'E_VERSION' });
  // The first signer finds it published: it is what was signed there, but for a signature.
  t.notMatch((await ironport('renew', ...acme('both'))).stderr, 'not signed here');
});
