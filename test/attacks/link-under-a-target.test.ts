// A symbolic link that lies where a target will, to have the client write through it.

import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { made } from './client-support.ts';

t.test('CVE-2026-6968: a link under the name of a target is not written through', async (t) => {
  const subject = await made(t);
  const victim = join(subject.folder, 'victim');
  writeFileSync(victim, 'precious');
  await mkdir(subject.targets);
  symlinkSync(victim, join(subject.targets, 'file'));
  await subject.download('file');
  t.equal(readFileSync(victim, 'utf8'), 'precious');
});
