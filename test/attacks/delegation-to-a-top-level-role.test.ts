// A delegation that takes the name of a top-level role, to speak as it.

import t from 'tap';
import { delegation, made, refused } from './client-support.ts';

t.test('GHSA-77hh-43cm-v8j6: a delegation does not reach a top-level role', async (t) => {
  for (const name of ['root', 'targets', 'snapshot', 'timestamp']) {
    const subject = await made(t, (sim) => {
      delegation(sim).name = name;
    });
    await refused(t, subject, 'file', name);
  }
});
