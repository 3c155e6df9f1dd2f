// A root that the keys of the last one signed, and its own did not: whoever stole the last ones
// would put in a root that its own keys never agreed to.

import t from 'tap';
import { made } from './client-support.ts';

t.test(
  'CVE-2020-15163: a root that is not signed by itself is neither used nor kept',
  async (t) => {
    const subject = await made(t);
    const { sim } = subject;
    const old = sim.signers.get('root') ?? [];
    sim.rotateKeys('root');
    sim.root.version++;
    sim.publishRoot(old);
    t.equal(await subject.refresh(), 1);
    t.equal(subject.trusted(), 'root 1');
  },
);
