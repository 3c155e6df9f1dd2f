// The clock of a host: set back, jumped ahead, and a host without a network whose metadata is old.

import t, { type Test } from 'tap';
import { DAY, HOUR, MINUTE } from '../../shared/time.ts';
import { judgedNow, raisedTimeFloor } from '../../shared/verify/time-floor.ts';
import { TODAY } from '../support/clock.ts';
import type { Simulator } from '../support/simulator.ts';
import { Machine, repositoryWithArtifact } from './bundle/support.ts';

async function host(t: Test): Promise<{ sim: Simulator; machine: Machine }> {
  const sim = await repositoryWithArtifact();
  const machine = new Machine(t.testdir());
  await machine.pin(sim);
  await machine.repository(sim).refresh();
  return { sim, machine };
}

t.test('freeze by a clock set back: what expired stays expired', async (t) => {
  const { sim, machine } = await host(t);
  // The host learns that it is the next day; then a server holds back, and the clock goes back.
  machine.clock.days(2);
  sim.timestamp.expires = sim.expiry(3);
  sim.publishTimestamp();
  await machine.repository(sim).refresh();
  const frozen = await repositoryWithArtifact();
  frozen.timestamp.version = sim.timestamp.version + 1;
  machine.clock.days(-2);
  await t.rejects(machine.repository(frozen).refresh(), {
    code: 'E_EXPIRED',
    message: 'timestamp 4 expired 24 hours ago',
  });
  t.ok(await machine.repository(sim).refresh(), 'the honest one goes on being good');
});

t.test('a clock that jumped ahead once does not poison the host', async (t) => {
  const { sim, machine } = await host(t);
  const before = (await machine.store.floors()).time;
  machine.clock.days(365);
  await t.rejects(machine.repository(sim).refresh(), { code: 'E_EXPIRED' });
  t.equal((await machine.store.floors()).time, before, 'nothing fresh was seen a year ahead');

  machine.clock.now = TODAY + 23 * HOUR;
  await machine.repository(sim).refresh();
  t.equal((await machine.store.floors()).time, TODAY + 23 * HOUR);
  // Right again, and the next timestamp is accepted at once.
  machine.clock.now = TODAY + HOUR;
  sim.timestamp.expires = sim.expiry(1.1);
  sim.publishTimestamp();
  await machine.repository(sim).refresh();
  t.equal((await machine.store.floors()).time, TODAY + 23 * HOUR, 'and the floor never goes down');
});

t.test('a clock that is corrected by minutes is believed', async (t) => {
  const { sim, machine } = await host(t);
  machine.clock.now -= 9 * MINUTE;
  t.equal((await machine.repository(sim).refresh()).now, TODAY - 9 * MINUTE);
  machine.clock.now -= 2 * MINUTE;
  t.equal((await machine.repository(sim).refresh()).now, TODAY);
});

t.test('the arithmetic', async (t) => {
  t.equal(judgedNow(5, undefined), 5, 'where no floor is kept there is none');
  t.equal(judgedNow(1000, 1600), 1000);
  t.equal(judgedNow(999, 1600), 1600);
  t.equal(raisedTimeFloor(0, 5000, 9000), 5000);
  t.equal(raisedTimeFloor(0, 9000, 5000), 5000, 'never above the expiry');
  t.equal(raisedTimeFloor(4500, 5000, 9000), 4500, 'no write for a few minutes');
  t.equal(raisedTimeFloor(8000, 5000, 9000), 8000);
});

t.test('a rotation of keys leaves the time floor as it is', async (t) => {
  const { sim, machine } = await host(t);
  sim.nextRoot(() => sim.rotateKeys('timestamp'));
  sim.publish();
  await machine.repository(sim).refresh();
  t.equal((await machine.store.floors()).time, TODAY);
  t.equal((await machine.store.floors()).root, 2);
});

t.test('offline: the same checks on what is stored, and an age in place of a freeze', async (t) => {
  const { sim, machine } = await host(t);
  await machine.repository(sim).list();
  t.equal((await machine.repository().list()).targets.length, 6);
  machine.clock.days(13);
  await t.rejects(machine.repository().refresh(), {
    code: 'E_STALE',
    message: 'its timestamp expired 12 days ago',
  });
  await t.rejects(machine.repository(undefined, { maxStale: 11 * DAY }).refresh(), {
    code: 'E_STALE',
  });
  const trusted = await machine.repository(undefined, { maxStale: 30 * DAY }).refresh();
  t.match(trusted.stale, [{ role: 'timestamp' }, { role: 'snapshot' }]);
  await t.rejects(
    machine.repository(sim, { maxStale: 30 * DAY }).refresh(),
    { code: 'E_EXPIRED' },
    'a repository that can be asked gets no leave',
  );
  machine.clock.days(200);
  await t.rejects(machine.repository(undefined, { maxStale: 365 * DAY }).refresh(), {
    code: 'E_EXPIRED',
    message: /^targets 2 expired/,
  });
});
