// From the repository to the agent without a network: records renewed, roots and withdrawals taken.

import { existsSync, readdirSync } from 'node:fs';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { program as agentProgram } from '../../agent/main.ts';
import { program } from '../../client/main.ts';
import { jittered } from '../../client/watch/several.ts';
import { handoff } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { addVendor } from '../support/artifact.ts';
import { TODAY } from '../support/clock.ts';
import { addProduct, type Release } from '../support/product.ts';
import { documentOf, runInProcess } from '../support/program.ts';
import { serve } from '../support/serve.ts';
import { Simulator } from '../support/simulator.ts';

const OLD = 'acme/edu/1.0.0/edu.js';
const NOTICE = 'notice-acme%2Fedu';
const bad = { at: TODAY, reason: 'loses writes' };

async function scene(t: Test, releases: readonly Release[] = [{ version: '1.0.0' }]) {
  const sim = new Simulator(systemClock());
  addVendor(sim, 'acme');
  const [first] = await addProduct(sim, releases);
  sim.publish('targets', 'acme');
  const served = await serve(sim);
  t.teardown(() => served.close());
  const folder = t.testdir({ state: {}, handoff: {}, sys: { bus: { pci: { devices: {} } } } });
  const root = join(folder, 'root.json');
  await writeFile(root, sim.roots.get(1) as Uint8Array);
  const env = { XDG_STATE_HOME: join(folder, 'state') };
  const state = ['--state', join(folder, 'agent')];
  const place = (...names: string[]): string => join(folder, 'handoff', ...names);
  const clientOf = async (url: string, ...argv: string[]) => {
    const ran = await runInProcess(program, [url, ...argv, '--root', root, '--json'], env);
    return { ...documentOf(ran), exit: ran.exit };
  };
  const client = (...argv: string[]) => clientOf(served.url, ...argv);
  const agent = async (...argv: string[]) =>
    documentOf(await runInProcess(agentProgram, [...argv, ...state, '--json'], env));
  await client('handoff', OLD, place('edu'));
  const accepted = await agent('accept', place('edu'), '--root', root);
  t.equal(accepted.ok, true, accepted.error?.message);
  return {
    sim,
    url: served.url,
    place,
    agent,
    client,
    clientOf,
    sha256: first?.sha256 ?? '',
    watch: (...more: string[]) => client('watch', '--once', '--handoff', place(), ...more),
    /** 1.0.0 leaves the role, and the index says why. */
    async withdraw() {
      for (const path of Object.keys(sim.role('acme').targets))
        delete sim.role('acme').targets[path];
      await addProduct(
        sim,
        [{ version: '1.0.0', withdrawn: bad, unlisted: true }, { version: '1.1.0' }],
        { revision: 2 },
      );
      sim.publish('acme');
    },
  };
}

t.test('records follow the repository, and are left alone while nothing is new', async (t) => {
  const { watch, sim, place, agent } = await scene(t);
  const first = await watch();
  t.equal(first.exit, 0);
  t.match(first.data.watched, [
    { name: 'edu', path: OLD, kind: 'artifact', state: 'current', code: null },
    { name: NOTICE, path: 'acme/edu/index/index.json', kind: 'notice', state: 'renewed' },
  ]);
  t.match((await watch()).data.watched, [{ state: 'current' }, { state: 'current' }]);
  sim.nextRoot(() => sim.rotateKeys('targets'));
  sim.publish('targets', 'acme');
  const bytes = await readFile(place('edu', handoff.target(OLD)));
  t.match((await watch()).data.watched, [{ state: 'renewed' }, { state: 'renewed' }]);
  t.same(await readFile(place('edu', handoff.target(OLD))), bytes);
  const noticed = await agent('notice', place(NOTICE));
  t.match(noticed.data, { product: 'acme/edu', revision: 1, withdrawn: [], new_roots: [2] });
  t.equal((await agent('accept', place('edu'))).data.again, true);
  t.strictSame(readdirSync(place()).sort(), ['edu', NOTICE], 'no draft is left');
});

t.test('what is withdrawn is taken away here, and bound no more there', async (t) => {
  const { watch, withdraw, place, agent } = await scene(t);
  await watch();
  const sysfs = place('..', 'sys');
  const why = () => agent('why', OLD, '--device', '0000:00:05.0', '--sysfs-root', sysfs);
  t.not((await why()).error.code, 'E_WITHDRAWN', 'before');
  await withdraw();
  const done = await watch();
  t.equal(done.exit, 14);
  t.match(
    done.data.watched.find(({ name }: { name: string }) => name === 'edu'),
    { state: 'withdrawn', code: 'E_WITHDRAWN', why: 'loses writes' },
  );
  t.notOk(existsSync(place('edu')));
  const noticed = await agent('notice', place(NOTICE));
  t.match(noticed.data, { revision: 2, withdrawn: [{ path: OLD, reason: 'loses writes' }] });
  const refused = await why();
  t.match(refused.error, { code: 'E_WITHDRAWN' });
  // The notice goes on although nothing of the product lies here any more.
  t.match((await watch()).data.watched, [{ name: NOTICE, kind: 'notice' }]);
});

t.test('a notice raises the floors: an older hand-over or notice is refused', async (t) => {
  const { watch, withdraw, place, agent, client } = await scene(t);
  await watch();
  const kept = place('..', 'kept');
  await client('handoff', OLD, kept);
  await cp(place(NOTICE), place('..', 'old-notice'), { recursive: true });
  await withdraw();
  await watch();
  t.equal((await agent('notice', place(NOTICE))).ok, true);
  t.equal((await agent('accept', kept)).error.code, 'E_ROLLBACK');
  t.equal((await agent('notice', place('..', 'old-notice'))).error.code, 'E_ROLLBACK');
});

t.test('a notice that is none, or was changed, teaches nothing', async (t) => {
  const { watch, place, agent } = await scene(t);
  await watch();
  t.equal((await agent('notice', place('edu'))).error.code, 'E_SCHEMA', 'an artifact');
  t.equal((await agent('notice', place('nothing'))).error.code, 'E_NOT_FOUND');
  const index = place(NOTICE, handoff.target('acme/edu/index/index.json'));
  const good = await readFile(index, 'utf8');
  await writeFile(index, good.replace('"stable"', '"tested"'));
  t.equal((await agent('notice', place(NOTICE))).error.code, 'E_HASH');
  await writeFile(index, `${good} `);
  t.equal((await agent('notice', place(NOTICE))).error.code, 'E_LENGTH');
  await writeFile(index, good);
  await writeFile(place(NOTICE, handoff.record), '{"schema":"ironport.handoff/v1"');
  t.equal((await agent('notice', place(NOTICE))).error.code, 'E_JSON');
  // The next turn writes it anew.
  t.match((await watch()).data.watched.at(-1), { name: NOTICE, state: 'renewed', code: null });
  t.equal((await agent('notice', place(NOTICE))).ok, true);
});

t.test('an agent without a root takes no notice', async (t) => {
  const { watch, place } = await scene(t);
  await watch();
  const ran = await runInProcess(agentProgram, [
    'notice',
    place(NOTICE),
    '--state',
    place('..', 'other-agent'),
    '--json',
  ]);
  t.equal(documentOf(ran).error.code, 'E_NO_PIN');
});

t.test('one hand-over that is broken stops no other', async (t) => {
  const { watch, place, sim } = await scene(t);
  await mkdir(place('broken'));
  await writeFile(place('broken', handoff.record), 'x');
  await mkdir(place('empty'));
  sim.publish('acme');
  const { data, exit } = await watch();
  t.match(data.watched, [
    { name: 'broken', path: null, state: 'failed', code: 'E_JSON' },
    { name: 'edu', state: 'renewed' },
    { name: 'empty', state: 'failed', code: 'E_NOT_FOUND' },
    { kind: 'notice', state: 'renewed' },
  ]);
  t.equal(exit, 9, 'the status of the first error');
  await rm(place(), { recursive: true });
  t.equal((await watch()).error.code, 'E_NOT_FOUND');
});

t.test('what a policy of the host refuses is not renewed, and left as it is', async (t) => {
  const { watch, sim, url, clientOf, place, sha256, agent } = await scene(t, [
    { version: '1.0.0', channel: 'testing' },
  ]);
  const file = place('..', 'policy.json');
  const product = (fields: object) => ({ schema: 'ironport.product-policy/v1', ...fields });
  const host = (otherwise: string) => ({
    ...{ schema: 'ironport.host-policy/v1', version: 1, evidence: { otherwise, rules: [] } },
  });
  const turn = async (option: string, policy: object) => {
    sim.publish('acme');
    await writeFile(file, JSON.stringify(policy), { mode: 0o644 });
    const { data, exit, error } = await watch(option, file);
    return { edu: data?.watched[0], notice: data?.watched[1], exit, error };
  };
  const [EVIDENCE, VERSIONS] = ['--host-policy', '--product-policy'];
  const record = () => readFile(place('edu', handoff.record), 'utf8');
  const cases: [name: string, option: string, refused: object, why: RegExp, taken: object][] = [
    ['evidence', EVIDENCE, host('refuse'), /./, host('default')],
    [
      'approved',
      VERSIONS,
      product({ approved: [] }),
      /not approve/,
      product({ approved: [sha256] }),
    ],
    [
      'hold',
      VERSIONS,
      product({ hold: { 'acme/edu': '2.0.0' } }),
      /it holds acme\/edu at 2\.0\.0/,
      // What is held is taken from any channel.
      product({ hold: { 'acme/edu': '1.0.0' }, channels: { '*': 'stable' } }),
    ],
    [
      'channels',
      VERSIONS,
      product({ channels: { acme: 'stable' } }),
      /in testing, and this host takes acme\/edu from stable/,
      product({ channels: { acme: 'testing', '*': 'stable' } }),
    ],
  ];
  for (const [name, option, refused, why, taken] of cases) {
    const before = await record();
    const done = await turn(option, refused);
    t.match(done.edu, { name: 'edu', state: 'failed', code: 'E_POLICY', why }, name);
    t.match(done.notice, { kind: 'notice', state: 'renewed' }, 'what is withdrawn is still told');
    t.equal(done.exit, 16);
    t.equal(await record(), before, 'left as it was');
    t.match((await turn(option, taken)).edu, { state: 'renewed', code: null }, name);
    t.not(await record(), before);
  }
  t.equal((await agent('accept', place('edu'))).ok, true, 'what was renewed is accepted');
  t.equal((await turn(VERSIONS, { nonsense: 1 })).error.code, 'E_CONFIG');

  // The index comes from whichever mirror has it, as everything does.
  const dead = await serve(sim);
  await dead.close();
  sim.publish('acme');
  await writeFile(file, JSON.stringify(product({ channels: { '*': 'testing' } })));
  const words = ['watch', '--once', '--handoff', place(), '--mirror', url, VERSIONS ?? '', file];
  const elsewhere = await clientOf(dead.url, ...words);
  t.match(elsewhere.data.watched[0], { name: 'edu', state: 'renewed', code: null });

  // Nobody says in which channel it is: a policy about channels is not met by silence.
  delete sim.role('acme').targets['acme/edu/index/index.json'];
  const silent = await turn(VERSIONS, product({ channels: { '*': 'testing' } }));
  t.match(silent.edu, { state: 'failed', code: 'E_POLICY', why: /no index says/ });
  t.match((await turn(VERSIONS, product({}))).edu, { state: 'renewed' });
});

t.test('turns are spread', async (t) => {
  t.strictSame([jittered(3600, 0), jittered(3600, 0.5), jittered(3600, 1)], [3240, 3600, 3960]);
});
