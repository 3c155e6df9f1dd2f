// A delegated role that is expired, or not the file that the snapshot describes.

import t from 'tap';
import type { Simulator } from '../support/simulator.ts';
import { made, refused } from './client-support.ts';

t.test(
  'CVE-2026-6967: a delegated role has an expiry, a length and hashes like targets',
  async (t) => {
    const changes: Record<string, (sim: Simulator) => void> = {
      expired: (sim) => {
        sim.role('A').expires = sim.expiry(-1);
        sim.publish('A');
      },
      longer: (sim) => {
        sim.role('A').note = 'x';
      },
      other: (sim) => {
        sim.role('A').expires = sim.expiry(91);
      },
    };
    for (const [what, change] of Object.entries(changes)) {
      const subject = await made(t, (sim) => {
        sim.withHashes = true;
      });
      change(subject.sim);
      await refused(t, subject, 'file', what);
    }
  },
);
