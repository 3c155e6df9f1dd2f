// Succinct bins by a number of bits that overflows whoever counts them.

import t from 'tap';
import { initialised, refused } from './client-support.ts';

t.test('go-tuf #716: a bit length that makes no bins, or more than anybody has', async (t) => {
  for (const bits of [0, -1, 33]) {
    const subject = await initialised(t);
    subject.sim.delegateBins('targets', 2, 'bin');
    const succinct = subject.sim.targets.delegations?.succinct_roles;
    if (succinct !== undefined) succinct.bit_length = bits;
    subject.sim.publish('targets');
    await refused(t, subject, 'file', `${bits} bits`);
  }
});
