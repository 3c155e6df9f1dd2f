// A policy that the fleet signed never goes back: not for the client, and not for the agent.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { program } from '../../client/main.ts';
import { utf8 } from '../../shared/bytes.ts';
import { signEnvelope } from '../../shared/evidence/dsse.ts';
import { HOST_POLICY_PAYLOAD_TYPE } from '../../shared/evidence/policy/signed-policy.ts';
import { agentState, store as layout } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { agent, Repository } from '../agent/support.ts';
import { addArtifact, addVendor, EDU } from '../support/artifact.ts';
import { testKey } from '../support/keys.ts';
import { documentOf, runInProcess } from '../support/program.ts';
import { serve } from '../support/serve.ts';
import { Simulator } from '../support/simulator.ts';

const OPERATORS = [testKey('operator 1'), testKey('operator 2')];
const FLEET = {
  schema: 'ironport.fleet-keys/v1',
  threshold: 2,
  keys: OPERATORS.map(({ key }) => keyObject(key)),
};
const OLDER = { code: 'E_ROLLBACK', context: { reason: 'policy-older', offered: 1, floor: 2 } };
const OTHER = { code: 'E_POLICY', context: { reason: 'policy-disagree', version: 2 } };

/** Files of a host; each policy is signed by both operators unless it is said to be bare. */
function host(t: Test) {
  const folder = t.testdir({ 'fleet.json': JSON.stringify(FLEET) });
  const place = (name: string): string => join(folder, name);
  const put = async (
    name: string,
    version: number,
    change: object = {},
    { bare = false, epoch, by = OPERATORS }: Put = {},
  ) => {
    const evidence = { otherwise: 'default', rules: [], ...change };
    const document = { schema: 'ironport.host-policy/v1', epoch, version, evidence };
    const policy = utf8(JSON.stringify(document));
    const signers = by.map((signer) => ({ signer }));
    const bytes = bare ? policy : await signEnvelope(HOST_POLICY_PAYLOAD_TYPE, policy, signers);
    writeFileSync(place(name), bytes, { mode: 0o644 });
    return [
      ...['--host-policy', place(name)],
      ...(bare ? [] : ['--fleet-keys', place('fleet.json')]),
    ];
  };
  /** Makes these the operators of the host. */
  const name = (of: typeof OPERATORS, epoch?: number): void => {
    const keys = of.map(({ key }) => keyObject(key));
    writeFileSync(place('fleet.json'), JSON.stringify({ ...FLEET, epoch, keys }));
  };
  return { place, put, name };
}

interface Put {
  readonly bare?: boolean;
  readonly epoch?: number;
  readonly by?: typeof OPERATORS;
}

t.test('the client', async (t) => {
  const sim = new Simulator(systemClock());
  addVendor(sim, 'acme');
  await addArtifact(sim, EDU, utf8('export const driver = 1;\n'));
  sim.publish('targets');
  const served = await serve(sim);
  t.teardown(() => served.close());
  const { place, put } = host(t);
  writeFileSync(place('root.json'), sim.roots.get(1) as Uint8Array);
  const store = ['--store', place('store')];
  const pinned = ['--root', place('root.json'), ...store];
  const run = async (...argv: string[]) => {
    const ran = await runInProcess(program, [served.url, ...argv, ...pinned, '--json'], {});
    return { exit: ran.exit, ...documentOf(ran) };
  };
  const explain = async (policy: string[]) =>
    documentOf(await runInProcess(program, ['policy', 'explain', ...policy, ...store, '--json']));
  const [first, second] = [await put('1', 1), await put('2', 2)];
  const floor = join(place('store'), layout.policyFloor);
  let outs = 0;
  const get = (policy: string[]) => run('get-verified', EDU, place(`out${outs++}`), ...policy);

  t.equal((await get(first)).exit, 0, 'the first one that is seen');
  t.equal((await get(first)).exit, 0, 'and again');
  t.ok((await explain(second)).ok);
  t.equal((await run('policy', 'test', EDU, ...second)).exit, 0);
  t.equal((await get(first)).exit, 0, 'who asks about the next one does not put it into force');

  const refusing = await put('refusing', 2, { otherwise: 'refuse' });
  t.match((await get(refusing)).error, { code: 'E_POLICY', context: { reason: 'namespace' } });
  const before = readFileSync(floor);
  for (const argv of [
    ['get-verified', EDU, place('no')],
    ['get-all', place('nowhere'), EDU],
    ['handoff', EDU, place('none')],
    ['watch', '--once'],
    ['policy', 'test', EDU],
  ])
    t.match((await run(...argv, ...first)).error, OLDER, `${argv[0]} by the older one`);
  t.match((await explain(first)).error, OLDER);
  t.match((await get(second)).error, OTHER, 'signed as well, and another one of that version');
  t.same(readFileSync(floor), before, 'none of them moved the floor');
  t.equal((await get(await put('3', 3))).exit, 0, 'rules are taken back by a higher version');
  t.equal(
    (await get(await put('bare', 1, {}, { bare: true }))).exit,
    0,
    'what nobody signed has no floor',
  );

  writeFileSync(floor, '{"schema":"ironport.policy-floor/v1","version":0}');
  t.match((await get(await put('4', 4))).error, { code: 'E_STORE' }, 'a floor is never guessed');
  rmSync(floor);
  t.equal((await get(first)).exit, 0, 'forgotten by whoever owns the store');
});

t.test('the floor is written by whoever may sweep its folder, and by nobody beside', async (t) => {
  const sim = new Simulator(systemClock());
  const served = await serve(sim);
  t.teardown(() => served.close());
  const { place, put } = host(t);
  writeFileSync(place('root.json'), sim.roots.get(1) as Uint8Array);
  const folder = place('ironport');
  mkdirSync(folder);
  writeFileSync(join(folder, '.tmp-crashed'), '');
  const argv = [served.url, 'get-verified', EDU, place('out'), '--root', place('root.json')];
  const env = { XDG_STATE_HOME: place('.') };
  await runInProcess(program, [...argv, ...(await put('1', 1))], env);
  const left = readdirSync(folder, { withFileTypes: true }).filter((one) => one.isFile());
  // A lock of its own would let the holder of a store's lock sweep away what is being written.
  t.strictSame(left.map(({ name }) => name).sort(), [layout.lock, layout.policyFloor]);
});

t.test('the agent, by a floor of its own', async (t) => {
  const { place, put } = host(t);
  const repository = new Repository();
  await repository.add();
  const root = repository.rootFile(place('.'));
  let count = 0;
  const accept = (policy: string[]) => {
    const folder = repository.handOver(place(`handoff-${count++}`));
    return agent('accept', folder, '--root', root, '--state', place('state'), ...policy);
  };
  const [first, second] = [await put('1', 1), await put('2', 2)];
  t.equal((await accept(first)).exit, 0);
  const refusing = await put('refusing', 2, { otherwise: 'refuse' });
  t.match((await accept(refusing)).error, { code: 'E_POLICY', context: { reason: 'namespace' } });
  const floor = join(place('state'), agentState.policyFloor);
  const before = readFileSync(floor);
  t.match((await accept(first)).error, OLDER);
  t.match((await accept(second)).error, OTHER);
  t.same(readFileSync(floor), before);
  t.equal((await accept(await put('3', 3))).exit, 0);
});

t.test('who stole the keys of the fleet locks no host for good', async (t) => {
  const { place, put, name } = host(t);
  const repository = new Repository();
  await repository.add();
  const root = repository.rootFile(place('.'));
  let count = 0;
  const accept = (policy: string[]) => {
    const folder = repository.handOver(place(`handoff-${count++}`));
    return agent('accept', folder, '--root', root, '--state', place('state'), ...policy);
  };
  const EPOCH = { reason: 'policy-epoch' };
  const last = Number.MAX_SAFE_INTEGER;
  const claimed = await put('claimed', last, {}, { epoch: 2 });
  t.match(
    (await accept(claimed)).error,
    { code: 'E_POLICY', context: EPOCH },
    'an epoch of theirs',
  );
  const stolen = await put('stolen', last, { otherwise: 'refuse' });
  t.match((await accept(stolen)).error, { context: { reason: 'namespace' } }, 'it is signed');

  // One of the two was not robbed, and stays an operator.
  const [first] = OPERATORS as [(typeof OPERATORS)[0]];
  const by = [first, testKey('operator 3')];
  name(by);
  const locked = (await accept(await put('mended', 1, {}, { by }))).error;
  t.match(locked, { code: 'E_ROLLBACK', hint: /"epoch": 2/ }, 'other keys alone do not help');
  name(by, 2);
  const mended = await put('mended', 1, {}, { by });
  t.match((await accept(mended)).error, { code: 'E_POLICY', context: EPOCH }, 'that of before');
  const begun = await put('begun', 1, {}, { by, epoch: 2 });
  t.equal((await accept(begun)).exit, 0);
  t.equal((await accept(begun)).exit, 0, 'and again');
  t.match((await accept(await put('other', 1, { otherwise: 'refuse' }, { by, epoch: 2 }))).error, {
    code: 'E_POLICY',
    context: { reason: 'policy-disagree' },
  });
  name(by);
  t.match((await accept(mended)).error, {
    code: 'E_ROLLBACK',
    context: { ...EPOCH, offered: 1, floor: 2 },
  });
  for (const epoch of [0, '2', 1.5, null]) {
    name(by, epoch as number);
    t.match((await accept(begun)).error, { code: 'E_CONFIG', message: /epoch|number|fraction/i });
  }
});
