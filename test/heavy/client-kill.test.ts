// kill -9 at 500 random points of a client at work. Takes minutes.

import t from 'tap';
import { killAtRandom } from '../client/processes.ts';

t.setTimeout(1_800_000);

t.test('500 clients are killed, and nothing is lost', async (t) => {
  const finished = await killAtRandom(t, 500, 700);
  // Else the kills came too late, or too early, to mean anything.
  t.ok(finished > 5 && finished < 450, `${finished} of 500 were done before they were killed`);
});
