/** Runs one process from its start to its end, and says what it took. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Usage {
  readonly wallSeconds: number;
  /** User and system; undefined of a process that is not Node, or that was killed. */
  readonly cpuSeconds: number | undefined;
  /** The most memory that was resident at one time; undefined as above. */
  readonly peakMiB: number | undefined;
}

export interface Run extends Usage {
  /** Undefined when it was ended because its time was up. */
  readonly exit: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Command {
  /** Arguments of Node; or, with `program`, of that program. */
  readonly args: readonly string[];
  readonly program?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutSeconds?: number;
}

export interface Started {
  readonly child: ChildProcess;
  /** Resolves when the process has ended by itself or by a signal. */
  readonly ended: Promise<Run>;
}

const PRELOAD = fileURLToPath(new URL('./usage.cjs', import.meta.url));

export function start(command: Command): Started {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-usage-'));
  const file = join(folder, 'usage');
  const isNode = command.program === undefined;
  const began = performance.now();
  const child = spawn(
    command.program ?? process.execPath,
    isNode ? ['--require', PRELOAD, ...command.args] : command.args,
    {
      env: { ...process.env, NO_COLOR: '1', ...command.env, BENCH_USAGE_FILE: file },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(command.timeoutSeconds === undefined ? {} : { timeout: command.timeoutSeconds * 1000 }),
    },
  );
  return { child, ended: finish(child, began, folder, file) };
}

async function finish(
  child: ChildProcess,
  began: number,
  folder: string,
  file: string,
): Promise<Run> {
  const output = { stdout: '', stderr: '' };
  child.stdout?.on('data', (data) => {
    output.stdout += data;
  });
  child.stderr?.on('data', (data) => {
    output.stderr += data;
  });
  let wallSeconds = 0;
  child.on('exit', () => {
    wallSeconds = (performance.now() - began) / 1000;
  });
  const [exit] = (await once(child, 'close')) as [number | null];
  const { cpuSeconds, peakMiB } = said(file, child.pid);
  rmSync(folder, { recursive: true, force: true });
  return { exit: exit ?? undefined, wallSeconds, cpuSeconds, peakMiB, ...output };
}

function said(file: string, pid: number | undefined): Omit<Usage, 'wallSeconds'> {
  let lines: string[];
  try {
    lines = readFileSync(file, 'utf8').trim().split('\n');
  } catch {
    return { cpuSeconds: undefined, peakMiB: undefined };
  }
  const found = lines.map((line) => JSON.parse(line)).find((line) => line.pid === pid);
  return { cpuSeconds: found?.cpuSeconds, peakMiB: found?.peakMiB };
}

/** Runs to the end; throws with its output when the end is not exit 0. */
export async function runToEnd(command: Command): Promise<Run> {
  const run = await start(command).ended;
  if (run.exit !== 0) {
    const line = [command.program ?? 'node', ...command.args].join(' ');
    throw new Error(`${line}\nended with ${run.exit ?? 'a signal'}:\n${run.stdout}${run.stderr}`);
  }
  return run;
}
