/** Every command line of the README, word for word and in its order, in a folder of its own. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { freePort } from '../../scripts/demo/support/port.ts';
import { steps } from '../support/guide.ts';

t.setTimeout(300_000);

const readme = readFileSync('README.md', 'utf8');

t.test('the sessions of the README', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-readme-'));
  const running: ChildProcess[] = [];
  t.teardown(() => {
    for (const child of running) child.kill('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  });
  // As in a checkout, without leaving anything in this one.
  for (const name of ['bin', 'examples', 'scripts', 'node_modules'])
    symlinkSync(resolve(name), join(folder, name));
  const port = String(await freePort());
  const env = { ...process.env, XDG_STATE_HOME: join(folder, 'state'), NO_COLOR: '1' };
  const lines = steps(readme).map(({ line }) => line);
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
});

t.test('the README is short, and its links lead somewhere', async (t) => {
  t.ok(readme.split('\n').length < 300);
  for (const [, target] of readme.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)) {
    t.ok(existsSync(target as string), String(target));
  }
});
