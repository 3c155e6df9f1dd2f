// Expiry at each role, by the clock of the machine: what stands is not used, what follows it is.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { Subject } from '../conformance/subject.ts';

const ALL = 'root 1, snapshot 1, targets 1, timestamp 1';

t.test('a new file that is expired is not taken, and everything before it is', async (t) => {
  const expected = {
    root: 'root 2, snapshot 1, targets 1, timestamp 1',
    timestamp: ALL,
    snapshot: 'root 1, snapshot 1, targets 1, timestamp 2',
    targets: 'root 1, snapshot 2, targets 1, timestamp 2',
  };
  for (const [role, trusted] of Object.entries(expected)) {
    const subject = await Subject.initialised(t);
    const { sim } = subject;
    t.equal(await subject.refresh(), 0);
    const draft = role === 'targets' ? sim.targets : sim[role as 'root'];
    draft.expires = sim.expiry(-1);
    // TUF 5.3.10: an expired root is stored, and nothing is built on it.
    if (role === 'root') sim.nextRoot();
    sim.publish('targets');
    t.equal(await subject.refresh(), 1, role);
    t.match(subject.said, /E_EXPIRED/);
    t.equal(subject.trusted(), trusted);
  }
});

t.test('what expired in the store is no obstacle to what follows it', async (t) => {
  const roles = ['root', 'timestamp', 'snapshot', 'targets'] as const;
  for (const role of roles) {
    const subject = await Subject.initialised(t);
    const { sim } = subject;
    const draft = role === 'targets' ? sim.targets : sim[role];
    for (const other of [sim.root, sim.timestamp, sim.snapshot, sim.targets]) {
      other.expires = sim.expiry(60);
    }
    draft.expires = sim.expiry(7);
    sim.nextRoot();
    sim.publish('targets');
    t.equal(await subject.refresh(), 0, role);
    t.equal(await subject.refresh(18), 1, `${role} has expired, and nothing newer is there`);
    draft.expires = sim.expiry(21);
    sim.nextRoot();
    sim.publish('targets');
    t.equal(await subject.refresh(18), 0, `a newer ${role}`);
    t.equal(subject.trusted(), 'root 3, snapshot 3, targets 3, timestamp 3');
  }
});

t.test('the timestamp that stands, again: fresh or not is for the clock to say', async (t) => {
  const subject = await Subject.initialised(t);
  subject.sim.timestamp.expires = subject.sim.expiry(2);
  t.equal(await subject.refresh(1), 0);
  t.equal(await subject.refresh(3), 1, 'the same version again does not make it younger');
  t.equal(await subject.refresh(1), 0);
});

t.test('a delegated role that is expired speaks for nobody', async (t) => {
  const subject = await Subject.initialised(t);
  const { sim } = subject;
  for (const draft of [sim.root, sim.timestamp, sim.snapshot, sim.targets]) {
    draft.expires = sim.expiry(60);
  }
  sim.nextRoot();
  sim.delegate('targets', 'role', { paths: ['d/*'] });
  sim.addTarget('role', 'd/first', utf8('first'));
  sim.addTarget('role', 'd/second', utf8('second'));
  sim.role('role').expires = sim.expiry(-1);
  sim.publish('targets', 'role');
  t.equal(await subject.refresh(), 0, 'the top-level roles are fresh');
  t.equal(await subject.download('d/first'), 1, 'published expired');
  t.equal(subject.trusted(), 'root 2, snapshot 2, targets 2, timestamp 2');
  sim.role('role').expires = sim.expiry(7);
  sim.publish('role');
  t.equal(await subject.download('d/first'), 0);
  t.equal(await subject.download('d/second', 18), 1, 'expired in the store');
  sim.role('role').expires = sim.expiry(21);
  sim.publish('role');
  t.equal(await subject.download('d/second', 18), 0, 'a newer one');
  t.same(subject.downloaded(), { 'd%2Ffirst': 'first', 'd%2Fsecond': 'second' });
});

t.test('a clock in the past: nothing is kept that would refuse it', async (t) => {
  const subject = await Subject.initialised(t);
  t.equal(await subject.refresh(), 0);
  t.equal(await subject.refresh(-400), 0, 'long before');
  subject.sim.publish('targets');
  t.equal(await subject.refresh(-400), 0);
  t.equal(await subject.refresh(), 0, 'and back');
  t.equal(subject.trusted(), 'root 1, snapshot 2, targets 2, timestamp 2');
});

t.test('a clock that jumped ahead once does not poison the store', async (t) => {
  const subject = await Subject.initialised(t);
  t.equal(await subject.refresh(), 0);
  t.equal(await subject.refresh(4000), 1);
  t.equal(subject.trusted(), ALL);
  t.equal(await subject.refresh(), 0);
});
