/** The runner of the tests: what it counts, and what it asks a second time. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { runFiles } from '../../scripts/test/run-files.mjs';

/** A test that fails as long as a file is not there, which it makes. */
function failsOnce(folder: string, name: string): string {
  const path = join(folder, `${name}.test.mjs`);
  writeFileSync(
    path,
    `import { existsSync, writeFileSync } from 'node:fs';
     import t from ${JSON.stringify(import.meta.resolve('tap'))};
     const seen = ${JSON.stringify(`${path}.seen`)};
     t.ok(existsSync(seen), 'was here');
     t.ok(true, 'another');
     writeFileSync(seen, '');`,
  );
  return path;
}

function fails(folder: string, name: string): string {
  const path = join(folder, `${name}.test.mjs`);
  writeFileSync(
    path,
    `import t from ${JSON.stringify(import.meta.resolve('tap'))}; t.ok(false, 'never');`,
  );
  return path;
}

t.test('a file that fails', async (t) => {
  // What the runner says of a failure would be read as one of ours.
  t.capture(console, 'log');
  const folder = t.testdir();
  t.match(
    await runFiles([failsOnce(folder, 'plain')]),
    { passed: 1, failed: 1, failures: [/plain.*was here/], unsteady: [] },
    'is not asked again unless that is wanted',
  );
  t.match(
    await runFiles([failsOnce(folder, 'twice')], { isAgain: true }),
    { passed: 2, failed: 0, failures: [], unsteady: [/twice.*was here/] },
    'and passes when asked again is named',
  );
  t.match(
    await runFiles([fails(folder, 'always')], { isAgain: true }),
    { passed: 0, failed: 1, failures: [/always.*never/], unsteady: [] },
    'each time has failed',
  );
  const crashes = join(folder, 'crash');
  mkdirSync(crashes);
  t.match(
    await runFiles([failsOnce(crashes, 'one')], { isAgain: true }),
    { failed: 1, unsteady: [] },
    'among those that look for rare failures has found one',
  );
  const many = ['a', 'b', 'c'].map((name) => failsOnce(folder, name));
  t.match(
    await runFiles(many, { isAgain: true }),
    { failed: 3, unsteady: [] },
    'among many is no chance',
  );
});
