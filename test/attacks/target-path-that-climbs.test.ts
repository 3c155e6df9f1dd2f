// A target path that leads out of the folder of targets.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { made, refused } from './client-support.ts';

t.test('GHSA-x3r5-q6mj-m485: a target path that climbs is no target path', async (t) => {
  const paths = ['../x', '/x', 'a/../b'];
  const subject = await made(t, (sim) => {
    for (const path of paths)
      sim.targets.targets[path] = { length: 1, hashes: { sha256: 'a'.repeat(64) } };
  });
  for (const path of paths) await refused(t, subject, path);
  t.notOk(existsSync(join(subject.folder, 'x')));
});
