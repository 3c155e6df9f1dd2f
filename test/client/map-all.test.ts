// Every command that reads a repository, over a map: what is agreed, what is not, who said what.

import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { program } from '../../client/main.ts';
import { gravest } from '../../client/map/worst.ts';
import { utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { addArtifact, addVendor, EDU, type VendorOptions } from '../support/artifact.ts';
import { TODAY } from '../support/clock.ts';
import { addProduct, type Release } from '../support/product.ts';
import { documentOf, runInProcess } from '../support/program.ts';
import type { Served } from '../support/serve.ts';
import { Simulator } from '../support/simulator.ts';
import { mapOf } from './map-support.ts';

const DEVICE = ['--device', 'PCI:0x1234:0x11e8'];
const bad = { at: TODAY, reason: 'loses writes' };

async function product(
  name: string,
  releases: readonly Release[],
  vendor: VendorOptions = {},
): Promise<Simulator> {
  const sim = new Simulator(systemClock(), name);
  addVendor(sim, 'acme', vendor);
  if (releases.length > 0) await addProduct(sim, releases);
  sim.publish('targets', 'acme');
  return sim;
}

async function scene(t: Test, sims: Readonly<Record<string, Simulator>>, change: object = {}) {
  const { folder, place, served } = await mapOf(t, sims, change);
  const args = ['--map', place('map.json'), '--store', place('store')];
  const run = (...argv: string[]) => runInProcess(program, [...argv, ...args], { HOME: folder });
  return {
    ...{ place, served, run, args },
    silence(name: string): void {
      (served.get(name) as Served).misbehave = (_, response) => {
        response.writeHead(404).end();
        return true;
      };
    },
    async json(...argv: string[]) {
      const ran = await run(...argv, '--json');
      return { ...documentOf(ran), exit: ran.exit, stderr: ran.stderr };
    },
    pinned: ['--roots', place('roots')],
  };
}

const three = async (releases: readonly Release[] = [{ version: '1.0.0' }]) => ({
  vendors: await product('v', releases),
  fleet: await product('f', releases),
  lab: await product('l', releases),
});

t.test('refresh says each by its name, and one that fails stops no other', async (t) => {
  const { json, run, silence, pinned, place } = await scene(t, await three());
  const all = await json('refresh', ...pinned);
  t.equal(all.exit, 0);
  t.strictSame(
    all.data.repositories.map(({ name, error }: { name: string; error: unknown }) => [name, error]),
    [
      ['vendors', null],
      ['fleet', null],
      ['lab', null],
    ],
  );
  t.match(all.data.repositories[1].roles, [{ role: 'root', version: 1 }, {}, {}, {}]);
  t.match(all.data, { roles: null, store: place('store') });
  silence('fleet');
  await rm(place('store', 'repositories', 'lab'), { recursive: true });
  const some = await json('refresh');
  // Without a pin is graver than without an answer.
  t.equal(some.exit, 7);
  t.match(some.data.repositories, [
    { name: 'vendors', error: null },
    { name: 'fleet', roles: null, error: { code: 'E_NETWORK' } },
    { name: 'lab', roles: null, error: { code: 'E_NO_PIN' } },
  ]);
  const words = (await run('refresh')).stdout;
  t.match(words, /vendors +timestamp +version 2/);
  t.match(words, /fleet +E_NETWORK/);
  t.match(words, /lab +E_NO_PIN/);
});

t.test('status is of all of them, and its exit that of the worst', async (t) => {
  const sims = await three();
  const { json, run, pinned, place } = await scene(t, sims);
  const none = await json('status');
  t.equal(none.exit, 7);
  t.equal(none.data.state, 'failed');
  sims.fleet.role('acme').expires = sims.fleet.expiry(0.01);
  sims.fleet.publish('acme');
  await json('refresh', ...pinned);
  await json('index');
  const well = await json('status', '--warn', '1h', '--critical', '30m').catch(() => undefined);
  t.equal(well?.exit, 2, 'a span has hours');
  const seen = await json('status', '--warn', '2h', '--critical', '1h');
  t.equal(seen.exit, 31);
  t.match(seen.data, { state: 'critical', roles: null, now: null });
  t.match(seen.data.repositories, [
    { name: 'vendors', state: 'ok', error: null },
    { name: 'fleet', state: 'critical' },
    { name: 'lab', state: 'ok' },
  ]);
  const floors = place('store', 'repositories', 'lab', 'floors.json');
  await rm(floors);
  const broken = await json('status', '--warn', '2h', '--critical', '1h');
  t.equal(broken.exit, 6, 'of which nothing can be said is worse than critical');
  t.match(broken.data.repositories[2], {
    name: 'lab',
    state: 'failed',
    error: { code: 'E_STORE' },
  });
  const words = (await run('status')).stdout;
  t.match(words, /^repository +role/);
  t.match(words, /fleet +acme .*critical/);
  t.match(words, /lab +E_STORE/);
});

t.test('the gravest failure, whatever its place', (t) => {
  const of = (...codes: ConstructorParameters<typeof IronError>[0][]) =>
    gravest(codes.map((code) => new IronError(code, code)))?.code;
  t.equal(of(), undefined);
  t.equal(of('E_NETWORK', 'E_NO_PIN', 'E_TRY_AGAIN'), 'E_NO_PIN');
  t.equal(of('E_STORE', 'E_ROLLBACK', 'E_NETWORK'), 'E_ROLLBACK');
  t.equal(of('E_SLOW', 'E_NETWORK'), 'E_SLOW', 'of equals the first');
  t.end();
});

t.test('index lists what is agreed, and says on what they do not agree', async (t) => {
  const sims = await three();
  await addArtifact(sims.vendors, 'acme/nic/1.0.0/nic.js', utf8('only here'));
  await addArtifact(sims.fleet, 'acme/gpu/1.0.0/gpu.js', utf8('one'));
  await addArtifact(sims.lab, 'acme/gpu/1.0.0/gpu.js', utf8('other'));
  for (const sim of Object.values(sims)) sim.publish('acme', 'targets');
  const { json, run, pinned } = await scene(t, sims);
  const { data, exit } = await json('index', ...pinned);
  t.equal(exit, 14);
  t.match(data.targets, [
    {
      path: EDU,
      channel: 'stable',
      agreement: { agreed: ['vendors', 'fleet', 'lab'], threshold: 2 },
    },
  ]);
  t.equal(data.targets.length, 1);
  t.match(data.not_agreed, [
    {
      path: 'acme/gpu/1.0.0/gpu.js',
      code: 'E_NOT_AGREED',
      contradicted: true,
      repositories: [
        { name: 'vendors', word: 'absent' },
        { name: 'fleet', word: 'listed' },
        { name: 'lab', word: 'listed' },
      ],
    },
    { path: 'acme/nic/1.0.0/nic.js', code: 'E_NOT_AGREED', contradicted: false },
  ]);
  const words = (await run('index')).stdout;
  t.match(words, /edu\.js .*3 of 3 agree/);
  t.match(words, /gpu\.js: E_NOT_AGREED\n +does not count +vendors +does not list it/);
  t.match(words, /does not count +lab +5 bytes/);
});

t.test('a third that says otherwise is said, though two are enough', async (t) => {
  const sims = await three();
  await addArtifact(sims.lab, EDU, utf8('other'));
  sims.lab.publish('acme', 'targets');
  const { json, run, pinned } = await scene(t, sims);
  const { data, exit } = await json('index', ...pinned);
  t.equal(exit, 0);
  t.strictSame(data.targets[0].agreement.agreed, ['vendors', 'fleet']);
  const words = (await run('index')).stdout;
  t.match(words, /2 of 3 agree/);
  t.match(words, /not all say the same[\s\S]*does not count +lab +5 bytes/);
});

t.test('silence is no word: of a role that cannot be read nothing is known', async (t) => {
  const sims = await three();
  sims.fleet.role('acme').expires = sims.fleet.expiry(-1);
  sims.fleet.publish('acme');
  sims.lab.role('acme').targets = {};
  sims.lab.publish('acme');
  const second = {
    paths: ['acme/*/*/*'],
    repositories: ['vendors'],
    threshold: 1,
    terminating: true,
  };
  const { json, pinned, place, args } = await scene(t, sims, { terminating: false });
  const map = JSON.parse(await readFile(place('map.json'), 'utf8'));
  map.mapping.push(second);
  await writeFile(place('map.json'), JSON.stringify(map));
  t.ok(args.length > 0);
  const { data, stderr } = await json('index', ...pinned);
  t.strictSame(
    data.targets,
    [],
    'the weaker mapping is not reached by keeping one from being heard',
  );
  t.match(data.not_agreed, [{ path: EDU, code: 'E_NOT_AGREED' }]);
  t.match(data.failed, [{ role: 'fleet: acme', code: 'E_EXPIRED' }]);
  t.match(stderr, /fleet: acme/);
});

t.test('what one vendor let expire says nothing of the drivers of another', async (t) => {
  const sims = await three();
  for (const sim of [sims.fleet, sims.lab]) {
    sim.role('acme').targets = {};
    addVendor(sim, 'beta');
    sim.role('beta').expires = sim.expiry(-1);
    sim.publish('targets', 'acme', 'beta');
  }
  const { json, pinned, place } = await scene(t, sims, { paths: ['*/*/*/*'], terminating: false });
  const map = JSON.parse(await readFile(place('map.json'), 'utf8'));
  const [first] = map.mapping;
  map.mapping.push({ ...first, repositories: ['vendors'], threshold: 1 });
  await writeFile(place('map.json'), JSON.stringify(map));
  const { data, exit } = await json('index', ...pinned);
  t.equal(exit, 0);
  t.match(data.failed, [{ role: 'fleet: beta' }, { role: 'lab: beta' }]);
  t.match(data.targets, [{ path: EDU, agreement: { agreed: ['vendors'] } }]);
  // As who asks for the one file is answered.
  const got = await json('get-verified', EDU, place('edu.js'));
  t.equal(got.exit, 0, got.stderr);
});

t.test('find answers with what enough of them offer alike', async (t) => {
  const newer = [{ version: '1.0.0' }, { version: '1.1.0' }];
  const sims = {
    vendors: await product('v', newer),
    fleet: await product('f', newer),
    lab: await product('l', [{ version: '1.0.0' }]),
  };
  const { json, run, pinned, silence } = await scene(t, sims);
  const { data, exit } = await json('find', ...DEVICE, ...pinned);
  t.equal(exit, 0);
  t.match(data.products, [
    {
      product: 'acme/edu',
      chosen: ['acme/edu/1.1.0/edu.js'],
      agreement: { agreed: ['vendors', 'fleet'], threshold: 2 },
    },
  ]);
  const words = (await run('find', ...DEVICE)).stdout;
  t.match(words, /^acme\/edu\/1\.1\.0\/edu\.js\n/);
  t.match(words, /does not count +lab/, 'and who says otherwise');

  silence('fleet');
  const refused = await json('find', ...DEVICE);
  t.equal(refused.error.code, 'E_NOT_AGREED');
  t.match(refused.stderr, /fleet/);
  t.equal(refused.exit, 14);
});

t.test('what one withdrew is offered by nobody', async (t) => {
  const sims = {
    vendors: await product('v', [{ version: '1.0.0' }]),
    fleet: await product('f', [{ version: '1.0.0' }]),
    lab: await product('l', [{ version: '1.0.0', withdrawn: bad, unlisted: true }]),
  };
  const { json, run, pinned } = await scene(t, sims);
  const found = await json('find', ...DEVICE, ...pinned);
  t.equal(found.exit, 14);
  t.equal(found.error?.code, 'E_NOT_AGREED');
  const { data, exit } = await json('index');
  t.equal(exit, 14);
  t.strictSame(data.targets, []);
  t.match(data.not_agreed, [
    { path: EDU, code: 'E_WITHDRAWN', repositories: [{}, {}, { name: 'lab', word: 'denied' }] },
  ]);
  t.match(
    (await run('find', ...DEVICE)).stderr.replace(/\s+/g, ' '),
    /lab: .*withdrawn.*loses writes/,
  );
});

t.test('whose operators did not give the vendor the device says that', async (t) => {
  const sims = {
    vendors: await product('v', [{ version: '1.0.0' }]),
    fleet: await product('f', [{ version: '1.0.0' }]),
    lab: await product('l', [{ version: '1.0.0' }], { hardware: ['PCI:0x1234:0x0001'] }),
  };
  const { json, run, pinned } = await scene(t, sims);
  const { data, exit } = await json('find', ...DEVICE, ...pinned);
  t.equal(exit, 0);
  const what = 'its operators did not give PCI:0x1234:0x11e8 to acme';
  t.match(data.products, [
    {
      chosen: [EDU],
      agreement: {
        agreed: ['vendors', 'fleet'],
        repositories: [{ word: 'listed' }, {}, { name: 'lab', word: 'absent', what }],
      },
    },
  ]);
  t.match((await run('find', ...DEVICE)).stdout, `does not count  lab      ${what}`);
  const other = ['--device', 'PCI:0x1234:0x0001'];
  t.match(
    (await run('find', ...other)).stderr.replace(/\s+/g, ' '),
    /fleet: its operators did not give PCI:0x1234:0x0001 to acme/,
    'also where that is why there is no answer',
  );
  const { data: all } = await json('index');
  t.strictSame(all.targets[0].agreement.agreed, ['vendors', 'fleet', 'lab'], 'control');
});

t.test('an index that lies about its artifact is no answer', async (t) => {
  const lie = [{ version: '1.0.0', sha256: 'ab'.repeat(32) }];
  const sims = { vendors: await product('v', lie), fleet: await product('f', lie) };
  const { json, pinned } = await scene(t, sims);
  const { error } = await json('find', ...DEVICE, ...pinned);
  t.equal(error.code, 'E_NOT_AGREED');
});

t.test('nothing for the device, by all of them, is that and no disagreement', async (t) => {
  const { json, pinned } = await scene(t, await three());
  const other = ['--device', 'PCI:0x1af4:0x1000'];
  t.equal((await json('find', ...other, ...pinned)).error.code, 'E_NOT_FOUND');
  const offline = await json('index', '--offline');
  t.equal(offline.data?.targets.length ?? offline.error?.code, 0, 'nothing is stored yet');
});

t.test('a bundle is of one repository, and one for each does the same work', async (t) => {
  const sims = { vendors: await product('v', []), fleet: await product('f', []) };
  for (const sim of Object.values(sims)) {
    await addArtifact(sim, EDU, utf8('driver'));
    sim.publish('targets', 'acme');
  }
  const { json, run, served, place, pinned } = await scene(t, sims);
  const refused = await json('bundle', 'create', place('all.bundle'), EDU);
  t.equal(refused.error.code, 'E_USAGE');
  t.notOk(existsSync(place('all.bundle')));
  for (const one of served.values()) t.strictSame(one.log, [], 'nobody was asked');
  const { stderr } = await run('bundle', 'create', place('all.bundle'), EDU);
  t.match(stderr.replace(/\s+/g, ' '), /make one for each repository of the map/);

  // Word for word what the refusal says: made here, imported on a machine without a network.
  await json('refresh', ...pinned);
  await mkdir(place('there'));
  for (const [name, { url }] of served) {
    const store = (of: string) => ['--store', place(of, 'repositories', name)];
    const bundle = place(`${name}.bundle`);
    const steps = [
      [url, 'bundle', 'create', bundle, EDU, ...store('store')],
      [url, 'init', '--root', place('roots', `${name}.json`), ...store('there')],
      [url, 'bundle', 'import', bundle, ...store('there')],
    ];
    for (const argv of steps) {
      const ran = await runInProcess(program, argv);
      t.equal(ran.exit, 0, ran.stderr);
    }
  }
  for (const one of served.values()) await one.close();
  const argv = ['get-verified', EDU, place('out'), '--map', place('map.json'), '--offline'];
  const ran = await runInProcess(program, [...argv, '--store', place('there'), '--json']);
  t.strictSame(documentOf(ran).data?.agreement.agreed, ['vendors', 'fleet'], ran.stdout);
});

t.test('several artifacts at once are all agreed on before any is brought', async (t) => {
  const nic = 'acme/nic/1.0.0/nic.js';
  const sims = await three();
  for (const sim of [sims.vendors, sims.fleet]) {
    await addArtifact(sim, nic, utf8('nic'));
    sim.publish('acme', 'targets');
  }
  const { json, run, pinned, place } = await scene(t, sims);
  const { data, error } = await json('get-all', place('drivers'), EDU, nic, ...pinned);
  t.equal(error?.message, undefined);
  t.match(data.artifacts, [
    { outcome: 'downloaded', agreement: { agreed: ['vendors', 'fleet', 'lab'] } },
    { outcome: 'downloaded', agreement: { agreed: ['vendors', 'fleet'] } },
  ]);
  t.equal(await readFile(place('drivers', 'nic.js'), 'utf8'), 'nic');
  t.match((await run('get-all', place('drivers'), EDU, nic)).stdout, /does not count +lab/);
  await addArtifact(sims.fleet, nic, utf8('other'));
  sims.fleet.publish('acme', 'targets');
  const refused = await json('get-all', place('second'), EDU, nic);
  t.equal(refused.error.code, 'E_NOT_AGREED');
  t.notOk(existsSync(place('second', 'edu.js')), 'not even the one on which they agree');
});

t.test('a file is verified by what is stored of each, and by enough of them', async (t) => {
  const { json, run, pinned, place, served } = await scene(t, await three());
  await json('get-verified', EDU, place('edu.js'), ...pinned);
  for (const one of served.values()) await one.close();
  const { data, error } = await json('verify', place('edu.js'), '--as', EDU);
  t.equal(error?.message, undefined);
  t.match(data, {
    verified: true,
    evidence: true,
    agreement: { agreed: ['vendors', 'fleet', 'lab'] },
  });
  await rm(place('store', 'repositories', 'lab', 'metadata', 'timestamp.json'));
  const two = await json('verify', place('edu.js'), '--as', EDU);
  t.match(two.data.agreement, {
    agreed: ['vendors', 'fleet'],
    repositories: [{}, {}, { word: 'failed' }],
  });
  await writeFile(place('edu.js'), 'other');
  const refused = await json('verify', place('edu.js'), '--as', EDU);
  t.equal(refused.error.code, 'E_NOT_AGREED');
  t.match((await run('verify', place('edu.js'), '--as', EDU)).stderr, /E_(HASH|LENGTH)/);
  t.equal((await json('verify', place('store'))).error.code, 'E_USAGE', 'a hand-over has one root');
});

t.test('the doctor looks over each store, and mends each', async (t) => {
  const { json, run, pinned, place } = await scene(t, await three());
  await json('refresh', ...pinned);
  const at = (name: string, file: string) => place('store', 'repositories', name, file);
  await rm(at('fleet', 'metadata/snapshot.json'));
  await mkdir(at('fleet', 'metadata/snapshot.json'));
  const seen = await json('doctor');
  t.equal(seen.exit, 0);
  const [vendors, fleet] = seen.data.repositories;
  t.equal(vendors.healthy, true);
  t.match(
    fleet.findings.filter(({ state }: { state: string }) => state === 'heals'),
    [{ subject: 'metadata/snapshot.json', what: 'is a folder where a file belongs' }],
  );
  const mended = await json('doctor', '--repair');
  t.match(mended.data.repositories[1].repaired, [{ subject: 'metadata/snapshot.json' }, {}]);
  await rm(at('lab', 'floors.json'));
  const broken = await json('doctor');
  t.equal(broken.exit, 6);
  t.match(broken.data, { healthy: false, findings: null });
  t.match((await run('doctor')).stdout, /lab +broken +version floors/);
  t.equal((await json('doctor', '--report', place('r.json'))).error.code, 'E_USAGE');
});

t.test('what makes no sense beside a map is refused, for each command', async (t) => {
  const { served, run, place } = await scene(t, await three());
  const url = served.get('vendors')?.url ?? '';
  for (const argv of [
    ['refresh'],
    ['status'],
    ['index'],
    ['find', ...DEVICE],
    ['watch', '--once'],
  ]) {
    t.equal((await run(url, ...argv)).exit, 2, `${argv[0]} with an address`);
    t.equal((await run(...argv, '--repository', url)).exit, 2, `${argv[0]} with --repository`);
    const alone = [url, ...argv, '--roots', place('roots')];
    t.match((await runInProcess(program, alone)).stderr, /--roots is for --map/, String(argv[0]));
    const hostile = [...argv, '--map', place('hostile.json')];
    for (const text of ['', '{', '[]', '{"repositories":{"../x":["a"]},"mapping":[]}']) {
      await writeFile(place('hostile.json'), text);
      const ran = await runInProcess(program, [...hostile, '--json']);
      t.equal(documentOf(ran).error.code, 'E_CONFIG', `${argv[0]} ${text}`);
    }
  }
});
