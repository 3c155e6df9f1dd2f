// Delegations that never end, to keep a client busy for ever with one question.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { made, refused } from './client-support.ts';

t.test('CVE-2020-6173: delegations without end cost a bounded number of requests', async (t) => {
  const subject = await made(t);
  const { sim } = subject;
  delete sim.role('A').targets.file;
  let last = 'A';
  for (let i = 0; i < 60; i++) {
    sim.delegate(last, `r${i}`, { paths: ['*'] });
    last = `r${i}`;
  }
  sim.addTarget(last, 'file', utf8('x'));
  sim.publish('A');
  await refused(t, subject);
  t.ok(subject.urls().length < 45);
});
