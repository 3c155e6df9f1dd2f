// A target that any bytes match, because its entry has no digest that is known.

import t from 'tap';
import { made, refused } from './client-support.ts';

t.test('go-tuf #721: a target without a digest is no target', async (t) => {
  for (const hashes of [{}, { md5: 'a'.repeat(32) }]) {
    const subject = await made(t, (sim) => {
      (sim.role('A').targets.file as { hashes: unknown }).hashes = hashes;
    });
    await refused(t, subject, 'file', JSON.stringify(hashes));
  }
});
