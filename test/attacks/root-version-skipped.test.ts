// A root under the name of an earlier one, to lead a client past a version of the chain.

import t from 'tap';
import { made } from './client-support.ts';

t.test('CVE-2025-2885: roots come one version after the other', async (t) => {
  const subject = await made(t);
  const { sim } = subject;
  sim.nextRoot();
  sim.nextRoot();
  sim.roots.set(2, sim.roots.get(3) as Uint8Array);
  t.equal(await subject.refresh(), 1);
  t.equal(subject.trusted(), 'root 1');
});
