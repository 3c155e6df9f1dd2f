/** The kernel refuses what quarantine writes: all else is done, the device counts, and it is told by a code. */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Agent } from '../../agent/agent.ts';
import { hold } from '../../agent/hold.ts';
import { Sysfs } from '../../agent/host/sysfs.ts';
import { type Written, writeAttribute } from '../../agent/host/write.ts';
import { type Entered, enterQuarantine } from '../../agent/quarantine/enter.ts';
import { notHeldDown } from '../../agent/quarantine/hold-down.ts';
import { IronError } from '../../shared/errors.ts';
import type { Level } from '../../shared/manifest/quarantine.ts';
import {
  DEVICE,
  eventsOf,
  type Place,
  placeOf,
  playedDevice,
  raise,
} from './quarantine-support.ts';
import { apply, BDF, refused, agent as run } from './support.ts';

/** An agent whose writes to attributes of these names meet an error; the kernel's others are played. */
function agentOf(place: Place, names: readonly string[], how: 'EIO' | 'not begun'): Agent {
  const write: typeof writeAttribute = async (sysfs, bdf, path, ...more): Promise<Written> => {
    if (!names.some((name) => path.endsWith(`/${name}`)))
      return await writeAttribute(sysfs, bdf, path, ...more);
    if (how === 'EIO') return { outcome: 'refused', errno: 'EIO' };
    throw new IronError('E_IO', 'the process that writes into sysfs did not start');
  };
  return new Agent({ state: place.state, writeSeconds: 60, settleSeconds: 60, write });
}

async function enter(agent: Agent, place: Place, level: Level): Promise<Entered> {
  const sysfs = await Sysfs.open(place.sysfs);
  const entering = { device: DEVICE, level, reason: 'it lies' };
  return await agent.alone(() => enterQuarantine(agent, sysfs, entering));
}

const told = (place: Place) => eventsOf(place).filter(({ event }) => event === 'not-held-down');

/** It counts, and once the kernel takes writes again it is held down. */
async function counts(t: Test, place: Place, incident: string): Promise<void> {
  refused(t, await apply(place), 'E_QUARANTINED', 'it is in quarantine all the same');
  t.match((await place.q('list')).data.incidents, [{ incident }]);
  const tree = ['--state', place.state, '--sysfs-root', place.sysfs];
  const enforced = await run('quarantine', 'enforce', ...tree, '--settle-timeout', '60');
  t.equal(enforced.exit, 0, 'tried again, it is held down');
  t.strictSame(place.state_(), { driver: null, override: 'vfio-pci' });
}

for (const how of ['EIO', 'not begun'] as const)
  t.test(`each write in turn: ${how}`, async (t) => {
    for (const [refusedOnes, done, left] of [
      [['driver_override'], [/^unbind/], { driver: null, override: null }],
      [['unbind'], [/^set the override/], { driver: 'edu_legacy', override: 'vfio-pci' }],
      [['driver_override', 'unbind'], [], { driver: 'edu_legacy', override: null }],
    ] as const) {
      const place = await placeOf(t);
      const { incident, held } = await enter(agentOf(place, refusedOnes, how), place, 'hard');
      const name = refusedOnes.join(' and ');
      t.match(held.done, [...done], `${name}: the rest is done`);
      t.equal(held.done.length, done.length);
      t.equal(held.problems.length, refusedOnes.length);
      t.match(
        held.problems,
        refusedOnes.map(() => (how === 'EIO' ? /: EIO$/ : /did not start$/)),
      );
      t.match(notHeldDown(incident, held), {
        code: 'E_NOT_HELD_DOWN',
        context: { device: BDF, incident: incident.id, level: 'hard' },
      });
      const writes = eventsOf(place).filter(({ event }) => event === 'sysfs-write');
      t.equal(writes.length, 2, 'each write is a line');
      t.match(told(place), [{ incident: incident.id, code: 'E_NOT_HELD_DOWN', now: left }]);
      t.match(
        eventsOf(place).filter(({ event }) => event === 'quarantined'),
        [{ incident: incident.id, device: BDF }],
      );
      await counts(t, place, incident.id);
    }
  });

t.test(
  'the tomb: removed although nothing else can be written, or the other way round',
  async (t) => {
    for (const [refusedOnes, removed] of [
      [['driver_override', 'unbind'], '1'],
      [['remove'], ''],
    ] as const) {
      const place = await placeOf(t);
      const remove = join(place.sysfs, 'devices/pci0000:00', BDF, 'remove');
      writeFileSync(remove, '');
      const { incident, held } = await enter(agentOf(place, refusedOnes, 'EIO'), place, 'tomb');
      t.equal(readFileSync(remove, 'utf8'), removed);
      t.equal(held.problems.length, refusedOnes.length);
      t.equal(held.done.length, 3 - refusedOnes.length);
      t.equal(notHeldDown(incident, held)?.code, 'E_NOT_HELD_DOWN');
    }
  },
);

t.test('the command: a code, the incident, and what was done', async (t) => {
  const place = await placeOf(t, ['unbind:fail']);
  const entered = await place.enter();
  refused(t, entered, 'E_NOT_HELD_DOWN', 'enter', 'not-held-down');
  t.equal(entered.exit, 20);
  t.match(entered.error.context, {
    device: BDF,
    level: 'hard',
    done: 'set the override to vfio-pci',
    problems: /^unbind edu_legacy: E/,
  });
  const { incident } = entered.error.context;
  t.match((await place.q('list')).data.incidents, [{ incident }]);
  refused(t, await place.enter(), 'E_NOT_HELD_DOWN', 'the same again');
  place.kernel.setFaults([]);
  t.equal((await place.enter('--settle-timeout', '60')).exit, 0, 'the control');
});

t.test('the kernel takes a write and does nothing', async (t) => {
  const place = await placeOf(t, ['unbind:lie']);
  const entered = await place.enter('--settle-timeout', '1');
  refused(t, entered, 'E_NOT_HELD_DOWN', 'its driver is there still');
  const now = 'driver edu_legacy, override vfio-pci';
  t.equal(entered.error.context.problems, `the kernel took what was written, and it is: ${now}`);
  t.match(told(place), [{ now: { driver: 'edu_legacy', override: 'vfio-pci' } }]);
});

t.test('a device that cannot be looked at: by force', async (t) => {
  const place = await placeOf(t);
  const bars = join(place.sysfs, 'devices/pci0000:00', BDF, 'resource');
  rmSync(bars);
  mkdirSync(bars);
  refused(t, await place.enter(), 'E_IO', 'what cannot be looked at is not unused');
  t.equal((await place.q('list')).data.incidents.length, 0);
  t.equal((await place.enter('--force', '--settle-timeout', '60')).exit, 0);
  t.strictSame(place.state_(), { driver: null, override: 'vfio-pci' });

  // Nor its override, which is then set all the same.
  const other = await placeOf(t);
  const override = join(other.sysfs, 'devices/pci0000:00', BDF, 'driver_override');
  writeFileSync(override, Buffer.alloc(100_000, 'x'));
  const entered = await other.enter('--force', '--settle-timeout', '60');
  refused(t, entered, 'E_NOT_HELD_DOWN', 'it was not as it should be');
  t.match(entered.error.context.problems, /^how it is bound cannot be read/);
  t.strictSame(other.state_(), { driver: null, override: 'vfio-pci' }, 'and is now');
});

t.test('who holds it: braked, given back, in quarantine, and told', async (t) => {
  const place = await placeOf(t);
  t.equal((await apply(place)).exit, 0);
  const agent = agentOf(place, ['driver_override'], 'EIO');
  const { calls, events, confined } = playedDevice();
  const named = { device: DEVICE, sysfs: await Sysfs.open(place.sysfs) };
  const lost: string[] = [];
  const { signal } = new AbortController();
  const end = hold({ agent, confined, named, signal, onLost: (text) => lost.push(text) });
  raise(events.error);
  t.equal((await end).why, 'device-error');
  t.strictSame(calls, ['brake', 'end']);
  t.match(lost, [/^E_NOT_HELD_DOWN: .*set the override to vfio-pci: EIO$/]);
  t.equal((await place.q('list')).data.incidents.length, 1);
  t.match(told(place), [{ now: { driver: 'vfio-pci', override: null } }]);
});
