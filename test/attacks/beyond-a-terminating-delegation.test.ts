// A role behind a terminating delegation that speaks all the same.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { initialised, refused } from './client-support.ts';

t.test('CVE-2025-2886: nothing behind a terminating delegation is searched', async (t) => {
  const subject = await initialised(t);
  const { sim } = subject;
  sim.delegate('targets', 'A', { paths: ['*'], terminating: true });
  sim.delegate('targets', 'B', { paths: ['*'] });
  sim.addTarget('B', 'file', utf8('by B'));
  sim.publish('targets');
  await refused(t, subject);
  t.notOk(subject.asked().includes('1.B.json'), 'nor asked for');
});
