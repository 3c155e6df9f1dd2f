/** What `plan` and `why` say of a device that somebody has, or where something did not end: what `apply` says. */

import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Sysfs } from '../../agent/host/sysfs.ts';
import { findWriters } from '../../agent/host/write.ts';
import {
  type Answer,
  agent,
  apply,
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
    apply: await agent('apply', ...words),
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

t.test('a change that did not end: stuck, then undone before all else', async (t) => {
  const place = await scene(t, { faults: ['probe:hang'] });
  refused(t, await apply(place, '--write-timeout', '1'), 'E_BIND_STUCK', 'its write hangs');
  await sayTheSame(t, place, 'E_BIND_STUCK');

  place.kernel.setFaults([]);
  const sysfs = await Sysfs.open(place.sysfs);
  while ((await findWriters(sysfs, BDF)).length > 0) await new Promise(setImmediate);
  const half = picture(place.sysfs);
  t.notSame(half, place.untouched, 'half done');
  const { plan, why, apply: applied } = await ask(place);
  t.strictSame(plan.data.undone_first, [
    { device: BDF, purpose: 'bind', to: { driver: 'edu_legacy', override: null } },
  ]);
  t.equal(why.data.device_error, null);
  t.equal(applied.exit, 0, applied.error?.message);
  t.strictSame(plan.data.plan, applied.data.plan, 'the very steps that were then made');
  t.equal(plan.data.plan.from.driver, 'edu_legacy');
});
