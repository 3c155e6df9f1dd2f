/** The README, word for word, in a folder of its own. */

import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import t from 'tap';
import { walkReadme } from '../support/readme.ts';

t.setTimeout(600_000);

t.test('the sessions of the README', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-readme-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  // As in a checkout, without leaving anything in this one.
  for (const name of ['bin', 'examples', 'scripts', 'node_modules'])
    symlinkSync(resolve(name), join(folder, name));
  await walkReadme(t, folder);
});

t.test('the README is short, and its links lead somewhere', async (t) => {
  const readme = readFileSync('README.md', 'utf8');
  t.ok(readme.split('\n').length < 300);
  for (const [, target] of readme.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)) {
    t.ok(existsSync(target as string), String(target));
  }
});
