// One watch of several repositories: each for itself, and what one fails with stops no other.

import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { program as agentProgram } from '../../agent/main.ts';
import { program } from '../../client/main.ts';
import { parseWatchList } from '../../client/watch/list-file.ts';
import { type Turned, watchAll } from '../../client/watch/several.ts';
import { utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { addArtifact, addVendor } from '../support/artifact.ts';
import { TODAY } from '../support/clock.ts';
import { addProduct } from '../support/product.ts';
import { documentOf, runInProcess } from '../support/program.ts';
import { type Served, serve } from '../support/serve.ts';
import { Simulator } from '../support/simulator.ts';

const PATH = 'acme/edu/1.0.0/edu.js';
const NOTICE = 'notice-acme%2Fedu';
const bad = { at: TODAY, reason: 'loses writes' };

async function withdraw(sim: Simulator): Promise<void> {
  for (const path of Object.keys(sim.role('acme').targets)) delete sim.role('acme').targets[path];
  await addProduct(sim, [{ version: '1.0.0', withdrawn: bad, unlisted: true }], { revision: 2 });
  sim.publish('acme');
}

/** Repositories with the same product, and a hand-over of each. */
async function scene(t: Test, { threshold = 2, withLab = false } = {}) {
  const folder = t.testdir({ roots: {}, store: {}, handoff: { vendors: {}, fleet: {}, lab: {} } });
  const place = (...names: string[]): string => join(folder, ...names);
  const sims = {
    vendors: new Simulator(systemClock(), 'v'),
    fleet: new Simulator(systemClock(), 'f'),
    ...(withLab ? { lab: new Simulator(systemClock(), 'l') } : {}),
  };
  if (!withLab) await rm(place('handoff', 'lab'), { recursive: true });
  const served = new Map<string, Served>();
  for (const [name, sim] of Object.entries(sims)) {
    addVendor(sim, 'acme');
    await addProduct(sim, [{ version: '1.0.0' }]);
    sim.publish('targets', 'acme');
    const one = await serve(sim);
    t.teardown(() => one.close());
    served.set(name, one);
    await writeFile(place('roots', `${name}.json`), sim.roots.get(1) as Uint8Array);
  }
  const addresses = Object.fromEntries([...served].map(([name, { url }]) => [name, [url]]));
  const names = Object.keys(sims);
  const mapping = { paths: ['acme/*/*/*'], repositories: names, threshold, terminating: true };
  await writeFile(
    place('map.json'),
    JSON.stringify({ repositories: addresses, mapping: [mapping] }),
  );
  const list = Object.fromEntries(names.map((name) => [name, { addresses: addresses[name] }]));
  await writeFile(
    place('list.json'),
    JSON.stringify({ schema: 'ironport.watch/v1', repositories: list }),
  );
  const env = { HOME: folder };
  const common = ['--store', place('store'), '--roots', place('roots')];
  for (const [name, { url }] of served) {
    const own = ['--store', place('store', 'repositories', name)];
    const root = ['--root', place('roots', `${name}.json`)];
    const argv = [url, 'handoff', PATH, place('handoff', name, 'edu'), ...own, ...root];
    const ran = await runInProcess(program, argv, env);
    t.equal(ran.exit, 0, ran.stderr);
  }
  return {
    ...{ sims, served, place, env },
    silence(name: string): void {
      (served.get(name) as Served).misbehave = (_, response) => {
        response.writeHead(404).end();
        return true;
      };
    },
    async watch(by: 'map' | 'list', ...more: string[]) {
      const file =
        by === 'map' ? ['--map', place('map.json')] : ['--watch-list', place('list.json')];
      const argv = ['watch', '--once', ...file, ...common, '--handoff', place('handoff'), ...more];
      const ran = await runInProcess(program, [...argv, '--json'], env);
      return { ...documentOf(ran), exit: ran.exit, stderr: ran.stderr };
    },
  };
}

for (const by of ['map', 'list'] as const) {
  t.test(`by a ${by}: each has its records and its notices`, async (t) => {
    const { watch, sims, place } = await scene(t);
    const first = await watch(by);
    t.equal(first.exit, 0);
    t.match(first.data, { roles: null, watched: null });
    t.match(first.data.repositories, [
      {
        name: 'vendors',
        roles: [{ role: 'root' }, {}, {}, {}],
        watched: [
          { name: 'edu', path: PATH, state: 'current' },
          { name: NOTICE, kind: 'notice', state: 'renewed' },
        ],
        error: null,
      },
      { name: 'fleet', watched: [{ state: 'current' }, { name: NOTICE, state: 'renewed' }] },
    ]);
    t.strictSame(readdirSync(place('handoff', 'vendors')).sort(), ['edu', NOTICE]);

    // A new root in one of them is handed on there, and there alone.
    sims.fleet.nextRoot(() => sims.fleet.rotateKeys('targets'));
    sims.fleet.publish('targets', 'acme');
    const second = await watch(by);
    t.match(second.data.repositories, [
      { watched: [{ state: 'current' }, { state: 'current' }] },
      {
        roles: [{ role: 'root', version: 2 }],
        watched: [{ state: 'renewed' }, { state: 'renewed' }],
      },
    ]);
  });

  t.test(`by a ${by}: one that fails is said, and the other goes on`, async (t) => {
    const { watch, sims, silence } = await scene(t);
    silence('vendors');
    sims.fleet.publish('acme');
    const { data, exit } = await watch(by);
    t.match(data.repositories[0], {
      name: 'vendors',
      roles: null,
      watched: null,
      error: { code: 'E_NETWORK' },
    });
    const [, fleet] = data.repositories;
    t.match(fleet, { name: 'fleet', error: null });
    t.match(fleet.watched.at(-1), { name: NOTICE, state: 'renewed' }, 'its notices are handed on');
    // By the map, nothing is renewed by the word of one alone; by a list, each is for itself.
    t.equal(fleet.watched[0].state, by === 'map' ? 'failed' : 'renewed');
    t.equal(exit, by === 'map' ? 14 : 5, 'that of the gravest');
  });

  t.test(`by a ${by}: withdrawn in one of them`, async (t) => {
    const { watch, sims, place, env } = await scene(t);
    const state = ['--state', place('agent')];
    const agent = async (...argv: string[]) =>
      documentOf(await runInProcess(agentProgram, [...argv, '--json'], env));
    const root = ['--root', place('roots', 'fleet.json')];
    const accepted = await agent('accept', place('handoff', 'fleet', 'edu'), ...state, ...root);
    t.equal(accepted.error?.message, undefined);
    await watch(by);
    await withdraw(sims.fleet);
    const { data, exit } = await watch(by);
    t.equal(exit, 14);
    const [vendors, fleet] = data.repositories;
    t.match(fleet.watched, [{ name: 'edu', state: 'withdrawn' }, { state: 'renewed' }]);
    t.notOk(existsSync(place('handoff', 'fleet', 'edu')));
    // What one of the map withdrew is not outvoted; of a list, the other has said nothing of it.
    const isByMap = by === 'map';
    t.equal(vendors.watched[0].state, isByMap ? 'withdrawn' : 'current');
    t.equal(existsSync(place('handoff', 'vendors', 'edu')), !isByMap);
    const noticed = await agent('notice', place('handoff', 'fleet', NOTICE), ...state);
    t.match(noticed.data, { withdrawn: [{ path: PATH, reason: 'loses writes' }] });
  });
}

t.test('by a map: one that is outvoted renews nothing of what it alone lists', async (t) => {
  const { watch, sims, place } = await scene(t, { withLab: true });
  await watch('map');
  const record = place('handoff', 'lab', 'edu', 'record.json');
  const before = await readFile(record);
  const lab = sims.lab as Simulator;
  await addArtifact(lab, PATH, utf8('something else\n'));
  for (const sim of Object.values(sims)) sim.publish('acme');
  const { data, exit } = await watch('map');
  t.equal(exit, 14);
  t.match(data.repositories, [
    { name: 'vendors', watched: [{ state: 'renewed' }, {}] },
    { name: 'fleet', watched: [{ state: 'renewed' }, {}] },
    { name: 'lab', watched: [{ name: 'edu', state: 'failed', code: 'E_NOT_AGREED' }, {}] },
  ]);
  t.strictSame(await readFile(record), before, 'its record is left as it was');
});

t.test(
  'what lies beside the folders of the repositories is not passed over in silence',
  async (t) => {
    const { watch, place } = await scene(t);
    await mkdir(place('handoff', 'stray'));
    await rm(place('handoff', 'fleet'), { recursive: true });
    const { stderr, data, exit } = await watch('map');
    t.equal(exit, 0);
    t.match(stderr, /stray is not watched: hand-overs lie below the name of their repository/);
    t.strictSame(data.repositories[1].watched, [], 'and one without a folder has none yet');
    const nowhere = await watch('list', '--handoff', place('nowhere'));
    t.equal(nowhere.error.code, 'E_NOT_FOUND');
  },
);

t.test('each at its own pace, until it is stopped', async (t) => {
  const stop = new AbortController();
  const seen: Turned[] = [];
  const counts = { fast: 0, slow: 0, yearly: 0, broken: 0 };
  const turn = (name: keyof typeof counts) => async (): Promise<never> => {
    counts[name]++;
    throw new IronError(name === 'broken' ? 'E_NETWORK' : 'E_NOTHING_TO_DO', name);
  };
  const ended = watchAll(
    [
      { name: 'fast', every: 0, turn: turn('fast') },
      { name: 'slow', every: 100_000, turn: turn('slow') },
      { name: 'yearly', every: 365 * 86_400, turn: turn('yearly') },
      { name: 'broken', every: 0, turn: turn('broken') },
    ],
    {
      signal: stop.signal,
      random: () => 0.5,
      onTurn: (turned) => {
        seen.push(turned);
        if (counts.fast >= 5 && counts.broken >= 5) stop.abort();
      },
    },
  );
  await t.rejects(ended);
  t.equal(counts.slow, 1, 'it waits its own time');
  t.equal(counts.yearly, 1, 'also one that is longer than a timer of Node can be');
  t.ok(seen.some(({ name, error }) => name === 'broken' && error?.code === 'E_NETWORK'));
});

t.test('a list that is none is refused before anybody is asked', async (t) => {
  const one = { addresses: ['http://a'] };
  const listed = (repositories: unknown, more: object = {}) =>
    utf8(JSON.stringify({ schema: 'ironport.watch/v1', repositories, ...more }));
  t.strictSame(parseWatchList(listed({ a: { ...one, every: '6h', store: '/s', handoff: '/h' } })), [
    {
      ...{ name: 'a', addresses: ['http://a'], store: '/s', handoff: '/h' },
      every: 6 * 3600,
    },
  ]);
  for (const [name, bytes] of [
    ['no JSON', utf8('{')],
    ['another schema', utf8('{"schema":"x","repositories":{}}')],
    ['nobody', listed({})],
    ['a name that is a path', listed({ '../a': one })],
    ['no address', listed({ a: { addresses: [] } })],
    ['an empty address', listed({ a: { addresses: [''] } })],
    ['not an address', listed({ a: { addresses: [1] } })],
    ['an unknown field', listed({ a: { ...one, each: '6h' } })],
    ['too often', listed({ a: { ...one, every: '0h' } })],
    ['not a span', listed({ a: { ...one, every: 6 } })],
    ['a zero byte', listed({ a: { ...one, store: 'a\0b' } })],
    [
      'one store',
      listed({ a: { ...one, store: '/s' }, b: { addresses: ['x'], store: '/s/../s' } }),
    ],
    [
      'one folder',
      listed({ a: { ...one, handoff: 'h' }, b: { addresses: ['x'], handoff: './h' } }),
    ],
    ['something else', listed({ a: one }, { more: 1 })],
    ['too many', listed(Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`a${i}`, one])))],
  ] as const)
    t.throws(() => parseWatchList(bytes), { code: 'E_CONFIG' }, name);

  const { place, watch, served } = await scene(t);
  const asked = [...served.values()].map(({ log }) => log.length);
  for (const [field, of] of [
    ['handoff', place('handoff', 'b')],
    ['store', place('store', 'repositories', 'b')],
  ] as const) {
    // The one says which folder, which is the other's by its name.
    const shared = listed({ a: { ...one, [field]: of }, b: one });
    await writeFile(place('list.json'), shared);
    const { error } = await watch('list');
    t.match(error, { code: 'E_CONFIG', message: new RegExp(`b and a have the same ${field}`) });
  }
  await writeFile(place('list.json'), '{}');
  t.equal((await watch('list')).error.code, 'E_CONFIG');
  for (const more of [
    ['--repository', 'http://127.0.0.1:9'],
    ['--root', place('roots', 'fleet.json')],
  ])
    t.equal((await watch('list', ...more)).error.code, 'E_USAGE', more[0] ?? '');
  t.equal((await watch('map', '--watch-list', place('list.json'))).error.code, 'E_USAGE');
  t.equal(
    (await watch('map', '--every', '10d', '--map', place('none.json'))).error.code,
    'E_NOT_FOUND',
  );
  t.strictSame(
    [...served.values()].map(({ log }) => log.length),
    asked,
  );
});

t.test('the unit of the timer takes several repositories by one variable', async (t) => {
  const unit = await readFile('client/systemd/ironport-watch.service', 'utf8');
  const [, command = ''] = /^ExecStart=\S+ (.*)$/m.exec(unit) ?? [];
  const [, options = ''] = /^# +WATCH_OPTIONS=(.*)$/m.exec(unit) ?? [];
  // As systemd.service(5) splits an unbraced variable; here with the paths of this test.
  const { place, env } = await scene(t);
  const argv = command
    .replace('$WATCH_OPTIONS', options)
    .replace('/etc/ironport/map.json', place('map.json'))
    .replace('/etc/ironport/roots', place('roots'))
    .replace('/var/lib/ironport/handoff', place('handoff'))
    .split(' ');
  const ran = await runInProcess(program, argv, { ...env, IRONPORT_STORE: place('store') });
  t.equal(ran.exit, 0, ran.stderr);
  t.match(ran.stdout, /vendors +root/);
  t.match(ran.stdout, /fleet +root/);
});
