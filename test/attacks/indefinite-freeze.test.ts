// TUF 1.5.2, indefinite freeze: a mirror goes on serving what was once right, so that a host never
// learns of anything newer. Each role's expiry ends it.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import type { Simulator } from '../support/simulator.ts';
import { recovers, served, withstands } from './client-support.ts';

/** Every role good for 90 days, and `frozen` for `days`. */
function expiring(sim: Simulator, frozen: string, days: number): void {
  const drafts = { root: sim.root, timestamp: sim.timestamp, snapshot: sim.snapshot };
  const all = { ...drafts, targets: sim.targets, A: sim.role('A') };
  for (const [role, draft] of Object.entries(all)) {
    draft.expires = sim.expiry(role === frozen ? days : 90);
  }
}

t.test('whichever role stands still, its expiry ends it, and news from it lifts it', async (t) => {
  for (const role of ['root', 'timestamp', 'snapshot', 'targets', 'A']) {
    const subject = await served(t, (sim) => {
      expiring(sim, role, 7);
      sim.nextRoot();
    });
    const { sim } = subject;
    t.equal(await subject.download('file', 6), 0, `${role}: the last day`);
    await withstands(t, subject, { code: 'E_EXPIRED', days: 8, what: role });
    t.equal(await subject.download('file', 6), 0, `${role}: a clock that was wrong is put right`);
    sim.addTarget('A', 'file', utf8('update'));
    expiring(sim, role, 60);
    sim.nextRoot();
    sim.publish('targets', 'A');
    await recovers(t, subject, 'update', 8);
  }
});
