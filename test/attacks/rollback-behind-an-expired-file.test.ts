// Rollback of what an expired file set the floor of.

import t from 'tap';
import { made } from './client-support.ts';

t.test(
  'sigstore-rust #198: a floor counts, also when the file that set it has expired',
  async (t) => {
    const subject = await made(t);
    const { sim } = subject;
    sim.publish('targets');
    sim.publish('targets');
    t.equal(await subject.refresh(), 0);
    sim.snapshot.version -= 2;
    sim.snapshot.expires = sim.expiry(60);
    sim.timestamp.expires = sim.expiry(60);
    sim.publishTimestamp();
    t.equal(await subject.refresh(30), 1);
    t.match(subject.trusted(), /snapshot 4/);
  },
);
