// Finding what to install: by device, by product, by policy and by rollout, over HTTP.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { bucketOf, machineId } from '../../client/find/bucket.ts';
import { readDevice } from '../../client/find/device.ts';
import { program } from '../../client/main.ts';
import { utf8 } from '../../shared/bytes.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { binPrefix } from '../../shared/tuf/names.ts';
import { addVendor } from '../support/artifact.ts';
import { TODAY } from '../support/clock.ts';
import { addProduct, type Release } from '../support/product.ts';
import { documentOf, runInProcess } from '../support/program.ts';
import { serve } from '../support/serve.ts';
import { digest, Simulator } from '../support/simulator.ts';

const IDS = 'PCI:0x1234:0x11e8';
const MACHINE = '0123456789abcdef0123456789abcdef';
const bad = { at: TODAY, reason: 'loses writes', supersededBy: '1.1.0' };

async function scene(
  t: Test,
  releases: readonly Release[],
  edit: (sim: Simulator) => void = () => {},
) {
  const sim = new Simulator(systemClock());
  addVendor(sim, 'acme');
  const entries = await addProduct(sim, releases);
  edit(sim);
  sim.publish('targets');
  const served = await serve(sim);
  t.teardown(() => served.close());
  const folder = t.testdir({
    state: {},
    'machine-id': `${MACHINE}\n`,
    'root.json': Buffer.from(sim.roots.get(1) as Uint8Array),
  });
  const env = {
    XDG_STATE_HOME: join(folder, 'state'),
    IRONPORT_MACHINE_ID: join(folder, 'machine-id'),
  };
  const root = ['--root', join(folder, 'root.json')];
  return {
    sim,
    entries,
    place: (name: string) => join(folder, name),
    run: (...argv: string[]) => runInProcess(program, [served.url, ...argv, ...root], env),
    async json(...argv: string[]) {
      return documentOf(await runInProcess(program, [served.url, ...argv, ...root, '--json'], env));
    },
  };
}

const THREE: readonly Release[] = [
  { version: '1.0.0', withdrawn: bad, unlisted: true },
  { version: '1.1.0' },
  { version: '2.0.0', channel: 'testing' },
];

t.test('find says what this host takes, why, and why not the others', async (t) => {
  const { json, run } = await scene(t, THREE);
  const { data } = await json('find', '--device', IDS);
  t.match(data, {
    products: [
      {
        product: 'acme/edu',
        channel: 'stable',
        revision: 1,
        chosen: ['acme/edu/1.1.0/edu.js'],
        why: /newest in stable/,
        passed_over: [
          { version: '2.0.0', reason: 'channel' },
          { version: '1.0.0', reason: 'older' },
        ],
      },
    ],
    failed: [],
  });
  const words = await run('find', '--device', IDS);
  t.match(words.stdout, 'acme/edu/1.1.0/edu.js');
  t.match(words.stdout, 'it is in testing, and this host takes stable');
  const none = await json('find', '--device', 'PCI:0x8086:0x10d3');
  t.equal(none.error.code, 'E_NOT_FOUND');
  for (const wrong of ['1234:11e8', 'PCI:0x1234', '../etc', '0000:00:05.9'])
    t.equal((await json('find', '--device', wrong)).error.code, 'E_USAGE', wrong);
});

t.test('a product is fetched as the version that is chosen', async (t) => {
  const { json, run, place, entries } = await scene(t, THREE);
  const { data } = await json('get-verified', 'acme/edu', place('edu.js'));
  t.match(data, { verified: true, path: 'acme/edu/1.1.0/edu.js', choice: { product: 'acme/edu' } });
  t.equal(digest('sha256', await readFile(place('edu.js'))), entries[1]?.sha256);
  t.ok(data.checks.some(({ rule }: { rule: string }) => rule === 'product index'));
  const testing = await json('get-verified', 'acme/edu@testing', place('next.js'));
  t.equal(testing.data.path, 'acme/edu/2.0.0/edu.js');
  const said = await run('handoff', 'acme/edu', place('handoff'));
  t.match(said.stdout, 'acme/edu/1.1.0/edu.js');
  for (const [name, code] of [
    ['acme/edu@nightly', 'E_USAGE'],
    ['acme/edu@stable@x', 'E_USAGE'],
    ['acme/..', 'E_NAME'],
    ['Acme/edu', 'E_NAME'],
    ['acme/net', 'E_TARGET_UNKNOWN'],
    ['evil/edu', 'E_TARGET_UNKNOWN'],
  ] as const)
    t.equal((await json('get-verified', name, place('no'))).error.code, code, name);
});

t.test('a vendor whose role is divided into hash bins', async (t) => {
  const BITS = 2;
  const { json, place, sim } = await scene(t, THREE, (sim) => {
    const role = sim.role('acme');
    const bins = sim.delegateBins('acme', BITS, binPrefix('acme', BITS));
    // TAP 15: the bin is the first bits of the SHA-256 of the path.
    for (const [path, target] of Object.entries(role.targets)) {
      const bin = Number.parseInt(digest('sha256', utf8(path)).slice(0, 8), 16) >>> (32 - BITS);
      sim.role(bins[bin] as string).targets[path] = target;
      delete role.targets[path];
    }
    const used = bins.filter((bin) => Object.keys(sim.role(bin).targets).length > 0);
    t.ok(used.length > 1, 'index and artifacts are not in one bin');
    sim.publish();
  });
  const { data } = await json('find', '--device', IDS);
  t.match(data, {
    products: [
      {
        product: 'acme/edu',
        chosen: ['acme/edu/1.1.0/edu.js'],
        passed_over: [{ version: '2.0.0' }, { version: '1.0.0' }],
      },
    ],
    failed: [],
  });
  const gotten = await json('get-verified', 'acme/edu@testing', place('edu.js'));
  t.equal(gotten.data.path, 'acme/edu/2.0.0/edu.js');
  const withdrawn = await json('get-verified', 'acme/edu/1.0.0/edu.js', place('no'));
  t.equal(withdrawn.error.code, 'E_WITHDRAWN', 'also when it is in the bin of no index');

  // The record has the bin of the index as well, and is verified with it.
  t.equal((await json('handoff', 'acme/edu', place('handoff'))).ok, true);
  t.equal((await json('verify', place('handoff'))).data.path, 'acme/edu/1.1.0/edu.js');

  // The bin of the index cannot be read: the product is not found, and said to be left out.
  const index = digest('sha256', utf8('acme/edu/index/index.json')).slice(0, 8);
  const name = `${binPrefix('acme', BITS)}-${Number.parseInt(index, 16) >>> (32 - BITS)}`;
  sim.role(name).expires = sim.expiry(-1);
  sim.publish(name);
  const ran = await json('find', '--device', IDS);
  t.equal(ran.error.code, 'E_NOT_FOUND');
  const direct = await json('get-verified', 'acme/edu', place('no'));
  t.equal(direct.error.code, 'E_EXPIRED');
});

t.test('what was withdrawn is refused by name, with the reason of its vendor', async (t) => {
  const { json, run, place } = await scene(t, THREE);
  const { error } = await json('get-verified', 'acme/edu/1.0.0/edu.js', place('edu.js'));
  t.match(error, { code: 'E_WITHDRAWN', message: /was withdrawn/ });
  const ran = await run('get-verified', 'acme/edu/1.0.0/edu.js', place('edu.js'));
  t.equal(ran.exit, 14);
  t.match(ran.stderr, /loses writes[\s\S]*1\.1\.0/);
  const unknown = await json('get-verified', 'acme/edu/9.0.0/edu.js', place('edu.js'));
  t.equal(unknown.error.code, 'E_TARGET_UNKNOWN');
});

t.test('the policy of the host narrows, also what is named by its whole path', async (t) => {
  const { json, place, entries } = await scene(t, THREE);
  const policy = async (fields: object): Promise<string[]> => {
    await writeFile(
      place('policy.json'),
      JSON.stringify({ schema: 'ironport.product-policy/v1', ...fields }),
    );
    return ['--product-policy', place('policy.json')];
  };
  const get = async (name: string, fields: object) =>
    json('get-verified', name, place('edu.js'), ...(await policy(fields)));
  t.equal(
    (await get('acme/edu', { channels: { acme: 'testing' } })).data.path,
    'acme/edu/2.0.0/edu.js',
  );
  t.equal(
    (await get('acme/edu', { hold: { 'acme/edu': '2.0.0' } })).data.path,
    'acme/edu/2.0.0/edu.js',
  );
  t.equal((await get('acme/edu', { hold: { 'acme/edu': '1.0.0' } })).error.code, 'E_POLICY');
  t.equal((await get('acme/edu', { approved: [entries[2]?.sha256] })).error.code, 'E_POLICY');
  t.equal((await get('acme/edu@testing', { channels: { '*': 'stable' } })).error.code, 'E_POLICY');
  const whole = 'acme/edu/1.1.0/edu.js';
  t.equal((await get(whole, { approved: [] })).error.code, 'E_POLICY');
  t.equal((await get(whole, { hold: { 'acme/edu': '2.0.0' } })).error.code, 'E_POLICY');
  t.equal((await get(whole, { approved: [entries[1]?.sha256] })).data.path, whole);
  t.equal((await get('acme/edu', { nonsense: 1 })).error.code, 'E_CONFIG');
});

t.test('an index that is not true about its artifact', async (t) => {
  const lies: [name: string, code: string, release: Release][] = [
    ['another digest', 'E_CONFLICT', { version: '1.0.0', sha256: 'f'.repeat(64) }],
    ['another length', 'E_CONFLICT', { version: '1.0.0', length: 1 }],
    [
      'another device than the ceiling',
      'E_CEILING',
      { version: '1.0.0', devices: [{ vendor: 0x1234, device: 1 }] },
    ],
  ];
  for (const [name, code, release] of lies) {
    const { json, place } = await scene(t, [release]);
    const device = code === 'E_CEILING' ? ['--device', 'PCI:0x1234:0x0001'] : [];
    const { error } = await json('get-verified', 'acme/edu', place('edu.js'), ...device);
    t.equal(error.code, code, name);
  }
  const { json, place } = await scene(t, [{ version: '1.0.0' }], (sim) => {
    sim.addTarget('acme', 'acme/edu/index/index.json', utf8('{"schema":"x"}'));
  });
  t.equal((await json('get-verified', 'acme/edu', place('x'))).error.code, 'E_SCHEMA');
  const found = await json('index');
  t.match(found.data.failed, [{ role: 'acme/edu/index/index.json', code: 'E_SCHEMA' }]);
});

t.test('an index that is not its vendor’s own word', async (t) => {
  const { json, place } = await scene(t, [{ version: '1.0.0' }], (sim) => {
    // The operators' own targets list it: they may speak for all paths, and not as the vendor.
    const listed = sim.role('acme').targets['acme/edu/index/index.json'];
    sim.targets.targets['acme/edu/index/index.json'] = listed as never;
  });
  t.equal((await json('get-verified', 'acme/edu', place('x'))).error.code, 'E_NOT_AUTHORISED');
});

t.test(
  'only vendors that were given the device are asked, and nobody is hidden by another',
  async (t) => {
    const { json, sim } = await scene(t, [{ version: '1.0.0' }], (sim) => {
      addVendor(sim, 'other', { hardware: ['PCI:0x8086'] });
      addVendor(sim, 'board', { hardware: ['PCI:0x1234,subsystem=0x8086'] });
      addVendor(sim, 'broken', { hardware: ['PCI:0x1234,class=0x02'] });
      sim.role('broken').expires = sim.expiry(-1);
    });
    const { data } = await json('find', '--device', IDS);
    t.match(data.products, [{ product: 'acme/edu' }]);
    t.match(data.failed, [{ name: 'broken', code: 'E_EXPIRED' }]);
    t.notOk(sim.requests.some((path) => path.includes('other')));
    // What is not known of the device can be: more is asked for then, and the ceiling decides.
    t.ok(sim.requests.some((path) => path.includes('board')));
    const asked = sim.requests.length;
    await json('find', '--device', `${IDS}:0x1af4:0x1100`);
    t.notOk(sim.requests.slice(asked).some((path) => path.includes('board')));
  },
);

t.test('a rollout reaches the same hosts each time, and about as many as it says', async (t) => {
  const sha256 = digest('sha256', utf8('driver'));
  const hosts = Array.from({ length: 2000 }, (_, i) => i.toString(16).padStart(32, '1'));
  const buckets = hosts.map((id) => bucketOf(id, sha256));
  t.strictSame(
    hosts.map((id) => bucketOf(id, sha256)),
    buckets,
  );
  t.ok(buckets.every((bucket) => bucket >= 0 && bucket < 100));
  const share = buckets.filter((bucket) => bucket < 10).length;
  // 200 of 2000 with a deviation of 13: these ids and this digest never change.
  t.ok(share > 150 && share < 250, `${share} of 2000 hosts are in the first 10 %`);
  const next = digest('sha256', utf8('the next driver'));
  const both = hosts.filter(
    (id, i) => (buckets[i] as number) < 10 && bucketOf(id, next) < 10,
  ).length;
  t.ok(both < 60, `${both} hosts are first in both: others go first with each release`);

  const early = hosts[buckets.findIndex((bucket) => bucket < 10)] as string;
  const late = hosts[buckets.findIndex((bucket) => bucket > 90)] as string;
  t.not(early, late);
});

t.test('the rollout decides over HTTP as well', async (t) => {
  const { json, place, entries } = await scene(t, [
    { version: '1.0.0' },
    { version: '2.0.0', rolloutPercent: 50 },
  ]);
  const newest = entries[1]?.sha256 ?? '';
  const id = (wanted: (bucket: number) => boolean): string =>
    Array.from({ length: 100 }, (_, i) => (i + 1).toString(16).padStart(32, '0')).find((one) =>
      wanted(bucketOf(one, newest)),
    ) as string;
  for (const [wanted, version] of [
    [(bucket: number) => bucket < 50, '2.0.0'],
    [(bucket: number) => bucket >= 50, '1.0.0'],
  ] as const) {
    await writeFile(place('id'), id(wanted));
    const { data } = await json('find', '--device', IDS, '--machine-id', place('id'));
    t.strictSame(data.products[0].chosen, [`acme/edu/${version}/edu.js`]);
  }
});

t.test('the id of a machine', async (t) => {
  const folder = t.testdir({
    good: `${MACHINE}\n`,
    zero: '0'.repeat(32),
    first: 'uninitialized\n',
  });
  t.equal(await machineId(join(folder, 'good'), folder), MACHINE);
  for (const name of ['zero', 'first', 'absent'])
    await t.rejects(machineId(join(folder, name), folder), { code: 'E_CONFIG' }, name);
});

t.test('a device is read from sysfs, and from what people write', async (t) => {
  const root = t.testdir();
  const folder = join(root, 'bus/pci/devices/0000:00:05.0');
  await mkdir(folder, { recursive: true });
  const ids = {
    vendor: '0x1234\n',
    device: '0x11e8\n',
    subsystem_vendor: '0x1af4\n',
    subsystem_device: '0x1100\n',
    class: '0x00ff00\n',
    revision: '0x10\n',
  };
  for (const [name, text] of Object.entries(ids)) await writeFile(join(folder, name), text);
  t.strictSame(await readDevice('0000:00:05.0', root), {
    vendor: 0x1234,
    device: 0x11e8,
    subsystemVendor: 0x1af4,
    subsystemDevice: 0x1100,
    class: 0x00ff00,
    revision: 0x10,
  });
  t.strictSame(await readDevice('PCI:0x1234:0x11e8:0x1af4:0x1100', root), {
    vendor: 0x1234,
    device: 0x11e8,
    subsystemVendor: 0x1af4,
    subsystemDevice: 0x1100,
  });
  await t.rejects(readDevice('0000:00:06.0', root), { code: 'E_NOT_FOUND' });
  await writeFile(join(folder, 'device'), '0x11e8 rm -rf\n');
  await t.rejects(readDevice('0000:00:05.0', root), { code: 'E_SCHEMA' });
});
