// What the agent does about revocations: when something is handed over, when it is bound, and
// while it is bound.

import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { program } from '../../agent/main.ts';
import { agentState } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { run } from '../cli/support.ts';
import { TEAM, testList } from '../support/revocations.ts';
import { agent, apply, BDF, NAME, POLICY, refused, scene, stateOf } from './support.ts';

const NEXT = 'acme/edu/1.1.0/edu-driver.mjs';
const WHY = { reason: 'CVE-2030-0001' };
const floor = (generation: number) => ({
  issued: systemClock(),
  floors: new Map([['acme/edu', { generation, ...WHY }]]),
});

t.test('a list that comes later hits what was accepted and what is bound', async (t) => {
  const place = await scene(t);
  const { repository, state } = place;
  const status = async () => (await agent('status', ...place.device.slice(0, 4))).data;
  t.match((await status()).accepted, [{ revoked: null }]);
  t.equal((await apply(place)).exit, 0, 'a repository without a list is taken');
  const log = () => readFileSync(join(state, agentState.audit), 'utf8');

  await repository.add({ path: NEXT, generation: 2 });
  await repository.revoke(testList(1, floor(2)));
  const folder = repository.handOver(join(place.folder, 'next'), NEXT);
  const accepted = await agent('accept', folder, '--state', state);
  t.match(accepted.data?.revoked_bindings, [
    { device: BDF, driver: NAME, code: 'E_REVOKED', reason: 'generation', why: WHY.reason },
  ]);
  t.match(log(), /"event":"revoked-binding".*"device":"0000:00:05.0"/);
  const after = await status();
  t.match(after.bindings, [{ device: BDF, state: 'as it was left', revoked: /generation/ }]);
  t.match(
    after.accepted.map((one: { path: string; revoked: string | null }) => [one.path, one.revoked]),
    [
      [NAME, /generation is 1/],
      [NEXT, null],
    ],
  );
  t.equal((await agent('release', ...place.device)).exit, 0);
  refused(t, await apply(place), 'E_REVOKED', 'bound anew', 'generation');
  const revoking = createHash('sha256').update(readFileSync(join(state, agentState.revocations)));
  t.match(
    JSON.parse(log().trimEnd().split('\n').at(-1) ?? ''),
    {
      ...{ event: 'bind-decision', decision: 'refuse', code: 'E_REVOKED', reason: 'generation' },
      inputs: { revocations: revoking.digest('hex') },
    },
    'with the list that said so',
  );
  // What is refused then is refused before, and told.
  const policy = ['--policy', POLICY];
  const plan = await agent('plan', NAME, ...place.device, ...policy);
  refused(t, plan, 'E_REVOKED', 'plan', 'generation');
  t.match((await agent('why', NAME, ...place.device, ...policy)).data, {
    ...{ bindable: false, driver_error: { code: 'E_REVOKED' }, grant_error: null },
  });
  const { stdout } = await run(program, ['why', NAME, ...place.device, ...policy, '--no-color']);
  t.match(stdout, /^REFUSE {3}driver: E_REVOKED: .*; nothing was changed; \S/m, 'and what helps');
  const next = await agent('why', NEXT, ...place.device, ...policy);
  t.match(next.data, { bindable: true, driver_error: null }, 'control');

  const stored = join(state, agentState.revocations);
  const list = readFileSync(stored);
  writeFileSync(stored, list.subarray(1));
  refused(t, await apply(place), 'E_STORE', 'a damaged list');
  rmSync(stored);
  refused(t, await apply(place), 'E_STORE', 'a list that is gone');
  await repository.revoke(testList(2, floor(2)));
  const again = repository.handOver(join(place.folder, 'again'), NEXT);
  t.equal((await agent('accept', again, '--state', state)).exit, 0, 'comes with the next');
  refused(t, await apply(place), 'E_REVOKED', 'as before');
});

t.test('what is handed over is judged by the list that comes along', async (t) => {
  const place = await scene(t);
  const { repository, state } = place;
  await repository.revoke(testList(1, floor(1)));
  const hand = async (name: string, change: object = {}) =>
    agent(
      'accept',
      repository.handOver(join(place.folder, name), NAME, { ...repository.record(), ...change }),
      ...['--state', state],
    );
  const first = await hand('first');
  t.equal(first.exit, 0, first.error?.message);
  t.match(
    first.data.checks.filter((one: { rule: string }) => /revo/.test(one.rule)),
    [
      { rule: 'revocations', keys: TEAM.slice(0, 2).map(({ keyid }) => keyid) },
      { rule: 'not revoked' },
    ],
  );
  const before = stateOf(state);
  const older = repository.record();
  await repository.revoke(testList(2, floor(2)));
  refused(t, await hand('revoked'), 'E_REVOKED', 'a floor above it', 'generation');
  refused(t, await hand('bare', { revocations: undefined }), 'E_REVOCATIONS_MISSING', 'left out');
  refused(t, await hand('old', { revocations: older.revocations }), 'E_HASH', 'an older one');
  await repository.revoke(testList(3, floor(1)));
  repository.sim.role('revocations').expires = repository.sim.expiry(-1);
  refused(t, await hand('stale'), 'E_REVOCATIONS_STALE', 'nobody renewed it');
  t.strictSame(stateOf(state), before, 'nothing changed');
});
