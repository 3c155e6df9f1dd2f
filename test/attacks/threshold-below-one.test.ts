// A threshold that no signature at all meets.

import t from 'tap';
import { delegation, made, refused } from './client-support.ts';

t.test('CVE-2026-23992: a threshold below 1 is no threshold', async (t) => {
  for (const threshold of [0, -1]) {
    const subject = await made(t, (sim) => {
      delegation(sim).threshold = threshold;
    });
    await refused(t, subject, 'file', `in a delegation: ${threshold}`);
    const other = await made(t);
    other.sim.nextRoot(() => {
      const role = other.sim.root.roles.timestamp;
      if (role !== undefined) role.threshold = threshold;
    });
    t.equal(await other.refresh(), 1, `in root: ${threshold}`);
    t.equal(other.trusted(), 'root 1');
  }
});
