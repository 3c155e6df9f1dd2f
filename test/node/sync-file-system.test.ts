/** The helper that syncs file systems: it answers in turn, outlives failures, and ends with this process. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';
import { syncFileSystem } from '../../shared/node/sync-file-system.ts';

const run = promisify(execFile);
const script = (code: string): string[] => ['--input-type=module', '--eval', code];
const MODULE = new URL('../../shared/node/sync-file-system.ts', import.meta.url).href;

t.test('each question has its own answer', async (t) => {
  const folder = t.testdir({ 'a folder': {}, '-f': {} });
  const places = [
    folder,
    `${folder}/nowhere`,
    `${folder}/a folder`,
    `${folder}/-f`,
    '/proc/self/x',
  ];
  t.same(await Promise.all(places.map(syncFileSystem)), [true, false, true, true, false]);
  t.equal(await syncFileSystem(`${folder}\n${folder}`), false, 'a name of two lines is none');
  t.equal(await syncFileSystem(folder), true, 'and the answers are still in step');
});

t.test('a process waits for an answer, and for nothing else', async (t) => {
  const folder = JSON.stringify(t.testdir({}));
  const asks = `import { syncFileSystem } from ${JSON.stringify(MODULE)};
    console.log(await syncFileSystem(${folder}));`;
  const { stdout } = await run(process.execPath, script(asks), { timeout: 60_000 });
  t.equal(stdout, 'true\n');
});

t.test('where there is no shell, or no such program, nothing is known', async (t) => {
  const folder = t.testdir({});
  const asks = `import { syncFileSystem } from ${JSON.stringify(MODULE)};
    process.env.PATH = ${JSON.stringify(folder)};
    console.log(await syncFileSystem(${JSON.stringify(folder)}));
    console.log(await syncFileSystem(${JSON.stringify(folder)}));`;
  const { stdout } = await run(process.execPath, script(asks), { timeout: 60_000 });
  t.equal(stdout, 'false\nfalse\n');
});
