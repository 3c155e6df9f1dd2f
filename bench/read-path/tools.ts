/** The programs that this bench needs beside ours. */

import { spawnSync } from 'node:child_process';
import { getuid } from 'node:process';

const NEEDED = [
  { program: 'wrk', ask: '-v' },
  { program: 'nginx', ask: '-v' },
] as const;

/** Those of them that do not start. */
function missing(): string[] {
  return NEEDED.filter(({ program, ask }) => spawnSync(program, [ask]).error !== undefined).map(
    ({ program }) => program,
  );
}

/** Installs what is missing, where that can be done; throws with what to do where it cannot. */
export function needTools(say: (text: string) => void): void {
  const absent = missing();
  if (absent.length === 0) return;
  const names = absent.join(' and ');
  if (getuid?.() !== 0 || spawnSync('apt-get', ['--version']).error !== undefined)
    throw new Error(
      `${names} not found, and only root on Debian can install it from here; nothing was measured.\nInstall it (Debian: apt-get install wrk nginx-light) and run this again.`,
    );
  say(`${names} not found: installing …`);
  const install = ['apt-get', 'install', '-y', '-qq', '--no-install-recommends'];
  const packages = absent.map((name) => (name === 'nginx' ? 'nginx-light' : name));
  // The package starts a server on port 80 where it finds an init system: it must not.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  for (const [program = '', ...args] of [
    ['apt-get', 'update', '-qq'],
    [...install, ...packages],
  ]) {
    const { status, stderr } = spawnSync(program, args, { env, encoding: 'utf8' });
    if (status === 0) continue;
    const why = stderr.trim().split('\n').at(-1);
    throw new Error(`${names} could not be installed, nothing was measured: ${why}`);
  }
  const still = missing();
  if (still.length > 0) throw new Error(`${still.join(' and ')} was installed and does not start`);
}
