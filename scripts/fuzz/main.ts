/**
 * `npm run fuzz [-- --seconds N] [--seed N] [TARGET…]`: hostile bytes into every parser, two
 * parsers at a time. A parser may refuse with a code. It fails on anything else that it throws,
 * on more than a second of processor time for up to 1 MiB, and on more than 256 MiB of memory.
 * What did it is kept in `scripts/fuzz/corpus`, from where every later run begins.
 */

import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { MOST } from './mutate.ts';
import { TARGETS } from './targets.ts';
import type { Finding, Job } from './thread.ts';

const MEMORY_MIB = 256;
const STUCK_SECONDS = 20;

interface Outcome {
  readonly calls: number;
  readonly finding: { readonly kind: string; readonly what: string } | undefined;
}

function fuzz(target: string, seconds: number, seed: number): Promise<Outcome> {
  const shared = new SharedArrayBuffer(8 + MOST);
  const head = new Int32Array(shared, 0, 2);
  const workerData: Job = { target, seconds, seed, shared };
  const worker = new Worker(new URL('./thread.ts', import.meta.url), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: MEMORY_MIB },
  });
  return new Promise((resolve) => {
    let [last, since] = [-1, Date.now()];
    const end = (finding: Outcome['finding']): void => {
      clearInterval(watch);
      if (finding !== undefined) keep(target, shared);
      resolve({ calls: head[0] ?? 0, finding });
    };
    const watch = setInterval(() => {
      const calls = Atomics.load(head, 0);
      if (calls !== last || calls === 0) [last, since] = [calls, Date.now()];
      if (Date.now() - since < STUCK_SECONDS * 1000) return;
      void worker.terminate();
      end({ kind: 'stuck', what: `no answer for ${STUCK_SECONDS} s` });
    }, 500);
    worker.on('message', (finding: Finding | null) => end(finding ?? undefined));
    worker.on('error', (error: Error) => end({ kind: 'memory or crash', what: String(error) }));
  });
}

function keep(target: string, shared: SharedArrayBuffer): void {
  const length = new Int32Array(shared, 4, 1)[0] ?? 0;
  const bytes = Uint8Array.from(new Uint8Array(shared, 8, length));
  const name = target.slice(target.indexOf('#') + 1);
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
  writeFileSync(new URL(`corpus/${name}-${digest}`, import.meta.url), bytes);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { seconds: { type: 'string' }, seed: { type: 'string' } },
    allowPositionals: true,
  });
  const seconds = Number(values.seconds ?? 600);
  const seed = Number(values.seed ?? Date.now() % 2 ** 31);
  if (!(seconds > 0) || !Number.isInteger(seed))
    throw new Error('--seconds and --seed are numbers');
  const chosen = TARGETS.filter(
    ({ name }) => positionals.length === 0 || positionals.some((text) => name.includes(text)),
  );
  if (chosen.length === 0) throw new Error(`no target is called ${positionals.join(' or ')}`);
  console.log(`${chosen.length} parsers, ${seconds} s each, seed ${seed}`);
  let failed = 0;
  const queue = [...chosen];
  const work = async (): Promise<void> => {
    for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
      const { calls, finding } = await fuzz(target.name, seconds, seed);
      if (finding !== undefined) failed += 1;
      const verdict = finding === undefined ? 'ok' : `${finding.kind}: ${finding.what}`;
      console.log(`${target.name}: ${calls} calls, ${verdict}`);
    }
  };
  await Promise.all([work(), work()]);
  const peak = process.resourceUsage().maxRSS / 1024;
  console.log(`peak memory of the whole process: ${peak.toFixed(0)} MiB`);
  console.log(`${chosen.length - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

await main();
