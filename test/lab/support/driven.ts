/** Commands that hold a device and run its driver, as a process that is a holder. */

import { spawn } from 'node:child_process';
import type { Data } from '../../../scripts/demo/support/programs.ts';
import type { Lab } from '../cases/case.ts';
import { GROUPS } from './run.ts';
import { EDU } from './vfio.ts';

export interface Driven {
  /** Exit status; null when a signal ended it. */
  readonly status: number | null;
  readonly data: Data;
  readonly error:
    | { readonly code: string; readonly message: string; readonly why?: string }
    | undefined;
}

export interface DriveOptions {
  readonly state: string;
  readonly policy?: string;
  readonly device?: string;
  readonly more?: readonly string[];
  /** Told of each line on stderr, and of the process that holds. */
  readonly onLine?: (line: string, holder: number) => void;
}

/** `apply`, `upgrade` or `restore`, with `--hold --run` where that is said by them, to its end. */
export async function drive(
  { backend, say }: Pick<Lab, 'backend' | 'say'>,
  words: readonly string[],
  { state, policy, device = EDU[0], more = [], onLine = () => {} }: DriveOptions,
): Promise<Driven> {
  const isRestore = words[0] === 'restore';
  const child = spawn(
    process.execPath,
    [
      ...['/bin/ironport-agent.js', ...words, '--state', state, '--device', device],
      ...['--write-timeout', '200', '--settle-timeout', '60', '--json'],
      ...(isRestore ? [] : ['--hold', '--run', '--cgroup', GROUPS, '--backend', backend]),
      ...(policy === undefined ? [] : ['--policy', policy]),
      ...more,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let stdout = '';
  child.stdout.on('data', (data) => (stdout += data));
  child.stderr.on('data', (data) => {
    say(String(data).trimEnd());
    onLine(String(data), child.pid ?? 0);
  });
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (stdout === '') return { status, data: { driven: { output: '' } }, error: undefined };
  const { data, error } = JSON.parse(stdout);
  return { status, data, error };
}

/** The driver of a line that says that one runs. */
export function driverIn(line: string): number | undefined {
  const [, pid] = /the driver runs: process ([0-9]+)/.exec(line) ?? [];
  return pid === undefined ? undefined : Number(pid);
}

/**
 * The same, until it holds the device with its driver standing still, so that it does not end by itself.
 * `ended` is its end.
 */
export async function driveAndStand(
  lab: Pick<Lab, 'backend' | 'say'>,
  words: readonly string[],
  options: DriveOptions,
): Promise<{ readonly holder: number; readonly driver: number; readonly ended: Promise<Driven> }> {
  const { device = EDU[0] } = options;
  let ended: Promise<Driven> | undefined;
  let driver = 0;
  let text = '';
  const holder = await new Promise<number>((resolve, reject) => {
    ended = drive(lab, words, {
      ...options,
      onLine(line, pid) {
        text += line;
        const found = driverIn(line);
        if (found !== undefined) {
          driver = found;
          process.kill(driver, 'SIGSTOP');
        }
        if (text.includes(`holding ${device}`)) resolve(pid);
      },
    });
    ended.then(
      ({ status, error }) => reject(new Error(`it ended with ${status}: ${JSON.stringify(error)}`)),
      reject,
    );
  });
  return { holder, driver, ended: ended as Promise<Driven> };
}
