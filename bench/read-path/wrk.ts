/** One run of wrk against one server, and the processor time that the server took for it. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runToEnd } from '../support/measured.ts';

export interface Load {
  readonly connections: number;
  readonly seconds: number;
}

export interface Sample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the server's process, user and system; undefined where the kernel does not say. */
  readonly cpuMicroseconds: number | undefined;
}

const REPORT = fileURLToPath(new URL('./report.lua', import.meta.url));

/** Throws when a single request failed: what is fast because it refuses is not fast. */
export async function measure(
  url: string,
  pid: number,
  { connections, seconds }: Load,
): Promise<Sample> {
  const before = cpuSeconds(pid);
  const { stdout } = await runToEnd({
    program: 'wrk',
    args: ['-t', '1', '-c', `${connections}`, '-d', `${seconds}s`, '-s', REPORT, url],
  });
  const after = cpuSeconds(pid);
  const line = stdout.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`wrk said nothing that is understood:\n${stdout}`);
  const { requests, microseconds, p50, p99, failed } = JSON.parse(line) as Record<string, number>;
  if (failed !== 0 || !requests || !microseconds)
    throw new Error(`${failed} of ${requests} requests to ${url} failed`);
  return {
    perSecond: (requests / microseconds) * 1e6,
    p50Ms: (p50 ?? Number.NaN) / 1000,
    p99Ms: (p99 ?? Number.NaN) / 1000,
    cpuMicroseconds:
      before === undefined || after === undefined ? undefined : ((after - before) / requests) * 1e6,
  };
}

let ticks: number | undefined;

/** User and system time of a process so far (proc_pid_stat(5), fields 14 and 15). */
function cpuSeconds(pid: number): number | undefined {
  try {
    ticks ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name of the program, in parentheses, may have blanks in it.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / ticks;
  } catch {
    return undefined;
  }
}
