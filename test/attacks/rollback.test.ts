// TUF 1.5.2, rollback: files older than those that a host has seen, with the faults that were mended
// since. Each is validly signed; the versions that the host has seen refuse it.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { recovers, served, withstands } from './client-support.ts';

t.test('the whole repository as it was', async (t) => {
  const subject = await served(t);
  const { sim } = subject;
  const old = ['timestamp', 'snapshot', 'targets', 'A'].map((role) => sim.fileOf(role));
  sim.addTarget('A', 'file', utf8('update'));
  sim.publish('targets', 'A');
  await recovers(t, subject, 'update');
  for (const [i, name] of ['timestamp', '2.snapshot', '2.targets', '1.A'].entries()) {
    sim.overrides.set(`metadata/${name}.json`, old[i] as Uint8Array);
  }
  await withstands(t, subject, { code: 'E_ROLLBACK' });
  t.equal(subject.downloaded().file, 'update');
  sim.overrides.clear();
  sim.addTarget('A', 'file', utf8('update 2'));
  sim.publish('A');
  await recovers(t, subject, 'update 2');
});

t.test('of one role, by whoever signs those above it', async (t) => {
  for (const [role, learned] of [
    ['timestamp', []],
    ['snapshot', []],
    ['targets', ['timestamp', 'snapshot']],
    ['A', ['timestamp', 'snapshot']],
  ] as const) {
    const subject = await served(t);
    const { sim } = subject;
    sim.addTarget('A', 'file', utf8('update'));
    sim.publish('targets', 'A');
    await recovers(t, subject, 'update');
    const draft = role === 'timestamp' || role === 'snapshot' ? sim[role] : sim.role(role);
    draft.version--;
    if (role === 'A') sim.addTarget('A', 'file', utf8('honest'));
    if (role === 'targets' || role === 'A') sim.publish();
    else if (role === 'snapshot') sim.publishTimestamp();
    await withstands(t, subject, { code: 'E_ROLLBACK', learned, what: role });
    draft.version++;
    sim.addTarget('A', 'file', utf8('update 2'));
    sim.publish('targets', 'A');
    await recovers(t, subject, 'update 2');
  }
});

t.test('of root, under the name of the next one', async (t) => {
  const subject = await served(t);
  const { sim } = subject;
  const first = sim.roots.get(1) as Uint8Array;
  sim.nextRoot();
  t.equal(await subject.refresh(), 0);
  sim.roots.set(3, first);
  await withstands(t, subject, { code: 'E_VERSION' });
  sim.roots.delete(3);
  await recovers(t, subject, 'honest');
});
