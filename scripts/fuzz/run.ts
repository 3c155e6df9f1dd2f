/**
 * One parser in a process of its own, watched from outside. What a parser is given is in a file before
 * it is called, so that it is known also when the process dies of it.
 */

import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MEMORY_MIB } from './bounds.ts';
import type { Finding, Job, Report } from './child.ts';

/** How long a call may take before nobody waits for it any more. */
const STUCK_SECONDS = 20;
const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));

export interface Fuzzing {
  readonly target: string;
  /** Of processor time. */
  readonly seconds: number;
  readonly seed: number;
  /** The module whose `TARGETS` has it. */
  readonly targets: URL;
  /** The folder that keeps what did harm. */
  readonly corpus: URL;
  readonly stuckSeconds?: number;
}

export interface Outcome {
  readonly calls: number;
  readonly finding:
    | Finding
    | { readonly kind: 'stuck' | 'memory or crash'; readonly what: string }
    | undefined;
  /** Most memory of the process, what Node takes itself included; undefined when it died. */
  readonly peakMiB: number | undefined;
}

/** Fuzzes one parser. What it found is in `corpus` when this returns. */
export async function fuzz(fuzzing: Fuzzing): Promise<Outcome> {
  const { target, seconds, seed, targets, corpus, stuckSeconds = STUCK_SECONDS } = fuzzing;
  const folder = mkdtempSync(join(tmpdir(), 'ironport-fuzz-'));
  const input = join(folder, 'input');
  writeFileSync(input, Buffer.alloc(8));
  const job: Job = { target, seconds, seed, input, targets: targets.href };
  const child = fork(CHILD, [JSON.stringify(job)], {
    execArgv: [`--max-old-space-size=${MEMORY_MIB}`],
    // What V8 says when its heap is full is said below, in a line.
    stdio: ['ignore', 'inherit', 'ignore', 'ipc'],
  });
  const calls = (): number => callsIn(input);
  const { report, finding } = await new Promise<{
    readonly report?: Report;
    readonly finding: Outcome['finding'];
  }>((resolve) => {
    let [last, since] = [-1, Date.now()];
    let report: Report | undefined;
    const watch = setInterval(() => {
      const now = calls();
      if (now !== last || now === 0) [last, since] = [now, Date.now()];
      if (Date.now() - since < stuckSeconds * 1000) return;
      clearInterval(watch);
      child.kill('SIGKILL');
      resolve({ finding: { kind: 'stuck', what: `no answer for ${stuckSeconds} s` } });
    }, 500);
    child.on('message', (message: Report) => {
      report = message;
    });
    child.on('exit', (code, signal) => {
      clearInterval(watch);
      if (report !== undefined) resolve({ report, finding: report.finding ?? undefined });
      else resolve({ finding: { kind: 'memory or crash', what: `it ended by ${signal ?? code}` } });
    });
  });
  if (finding !== undefined) keep(target, input, corpus);
  const outcome = { calls: calls(), finding, peakMiB: report?.peakMiB };
  rmSync(folder, { recursive: true });
  return outcome;
}

function callsIn(input: string): number {
  const head = Buffer.alloc(4);
  const file = openSync(input, 'r');
  readSync(file, head, 0, 4, 0);
  closeSync(file);
  return head.readUInt32LE(0);
}

function keep(target: string, input: string, corpus: URL): void {
  const file = readFileSync(input);
  const bytes = file.subarray(8, 8 + file.readUInt32LE(4));
  const name = target.slice(target.indexOf('#') + 1);
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
  writeFileSync(new URL(`${name}-${digest}`, corpus), bytes);
}
