/** Types every command line of the README, word for word and in its order. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { freePort } from '../../scripts/demo/support/port.ts';
import { steps } from './guide.ts';

/** In `folder`, which has the programs in `bin/` and the `examples/`, as a checkout does. */
export async function walkReadme(t: Test, folder: string): Promise<void> {
  const running: ChildProcess[] = [];
  t.teardown(() => {
    for (const child of running) child.kill('SIGTERM');
  });
  const port = String(await freePort());
  const env = { ...process.env, XDG_STATE_HOME: join(folder, 'state'), NO_COLOR: '1' };
  const lines = steps(readFileSync('README.md', 'utf8')).map(({ line }) => line);
  t.ok(lines.length > 15, 'there are sessions');
  for (const line of lines) {
    const command = line.replaceAll('8080', port);
    if (command.endsWith('&')) {
      const words = command.slice(0, -1).trim().split(' ');
      const child = spawn(words[0] as string, words.slice(1), {
        cwd: folder,
        env,
        stdio: ['pipe', 'ignore', 'ignore'],
      });
      running.push(child);
      await sleep(3000);
      t.equal(child.exitCode, null, line);
      continue;
    }
    const done = spawnSync('bash', ['-ec', command], { cwd: folder, env, encoding: 'utf8' });
    t.equal(done.status, 0, line, { stderr: done.stderr });
  }
}
