// A role that leaves the snapshot, to come back later with an older version.

import t from 'tap';
import { made } from './client-support.ts';

t.test('sigstore-ruby #89: a role that was in a snapshot is not forgotten', async (t) => {
  const subject = await made(t);
  const { sim } = subject;
  t.equal(await subject.refresh(), 0);
  sim.roles.delete('A');
  delete sim.snapshot.meta['A.json'];
  sim.publish();
  t.equal(await subject.refresh(), 1);
  t.match(subject.trusted(), /snapshot 2/);
});
