/** What `plan` and `why` say of a device that somebody has, or where something did not end: what `apply` says. */

import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { Agent } from '../../agent/agent.ts';
import { bind } from '../../agent/bind.ts';
import { Sysfs } from '../../agent/host/sysfs.ts';
import { findWriters, type Written, writeAttribute } from '../../agent/host/write.ts';
import {
  type Answer,
  agent,
  BDF,
  NAME,
  POLICY,
  picture,
  refused,
  type Scene,
  scene,
  stateOf,
} from './support.ts';

const NEXT = 'acme/edu/1.1.0/edu-driver.mjs';

/** All three of them, the ones that change nothing first. */
async function ask(place: Scene, name = NAME): Promise<Record<'plan' | 'why' | 'apply', Answer>> {
  const words = [name, ...place.device, '--policy', POLICY];
  return {
    plan: await agent('plan', ...words),
    why: await agent('why', ...words),
    apply: await agent('apply', ...words, '--write-timeout', '60', '--settle-timeout', '60'),
  };
}

/** Refused with the same code and words by each, and nothing changed by those that only look. */
async function sayTheSame(t: Test, place: Scene, code: string, name = NAME): Promise<void> {
  const before = [picture(place.sysfs), stateOf(place.state)];
  const { plan, why, apply } = await ask(place, name);
  refused(t, apply, code, `apply: ${code}`);
  refused(t, plan, code, `plan: ${code}`);
  t.equal(plan.exit, apply.exit);
  t.match(plan.error, { message: apply.error.message, context: apply.error.context });
  t.equal(why.exit, 0);
  t.equal(why.data.bindable, false);
  t.strictSame(why.data.device_error, { code, message: apply.error.message });
  t.strictSame([picture(place.sysfs), stateOf(place.state)], before, 'nothing was changed');
}

t.test('a device that is bound: for this driver, for another, in quarantine', async (t) => {
  const place = await scene(t);
  const free = await ask(place);
  t.equal(free.plan.exit, 0);
  t.equal(free.why.data.device_error, null);
  t.equal(free.why.data.bindable, true);
  t.equal(free.apply.exit, 0, 'the control: bound by this');
  await sayTheSame(t, place, 'E_NOTHING_TO_DO');

  await place.repository.add({ path: NEXT });
  const folder = place.repository.handOver(join(place.folder, 'next'), NEXT);
  t.equal((await agent('accept', folder, '--state', place.state)).exit, 0);
  await sayTheSame(t, place, 'E_CONFLICT', NEXT);

  const options = ['--reason', 'it lies'];
  t.equal((await agent('quarantine', 'enter', ...place.device, ...options)).exit, 0);
  await sayTheSame(t, place, 'E_QUARANTINED');
});

/** Binding that is broken off at the probe, with no way back: its journal stays. */
async function breakOff(place: Scene): Promise<void> {
  let isBroken = false;
  const write: typeof writeAttribute = async (sysfs, bdf, path, ...more): Promise<Written> => {
    isBroken ||= path.endsWith('/drivers_probe');
    if (isBroken) return { outcome: 'refused', errno: 'EIO' };
    return await writeAttribute(sysfs, bdf, path, ...more);
  };
  const patient = { writeSeconds: 60, settleSeconds: 60 };
  const broken = new Agent({ state: place.state, ...patient, write });
  const request = { name: NAME, bdf: BDF, policy: POLICY };
  await t.rejects(bind(broken, await Sysfs.open(place.sysfs), request), { code: 'E_BIND_STUCK' });
}

t.test('a change that did not end: stuck, then undone before all else', async (t) => {
  const place = await scene(t);
  await breakOff(place);
  t.notSame(picture(place.sysfs), place.untouched, 'half done');
  place.kernel.setFaults(['probe:hang']);
  const sysfs = await Sysfs.open(place.sysfs);
  void writeAttribute(sysfs, BDF, 'bus/pci/drivers_probe', BDF, 1);
  while ((await findWriters(sysfs, BDF)).length === 0) await setImmediate();
  await sayTheSame(t, place, 'E_BIND_STUCK');

  place.kernel.setFaults([]);
  while ((await findWriters(sysfs, BDF)).length > 0) await setImmediate();
  const { plan, why, apply: applied } = await ask(place);
  t.strictSame(plan.data.undone_first, [
    { device: BDF, purpose: 'bind', to: { driver: 'edu_legacy', override: null } },
  ]);
  t.equal(why.data.device_error, null);
  t.equal(applied.exit, 0, applied.error?.message);
  t.strictSame(plan.data.plan, applied.data.plan, 'the very steps that were then made');
  t.equal(plan.data.plan.from.driver, 'edu_legacy');
});
