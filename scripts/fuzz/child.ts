/** Calls one parser with hostile bytes, over and over; what it is given stands in a file. */

import { openSync, writeSync } from 'node:fs';
import { isIronError } from '../../shared/errors.ts';
import { CALL_SECONDS, MEMORY_MIB } from './bounds.ts';
import { MOST, mutate, numbers } from './mutate.ts';
import { makeSeeds } from './seeds.ts';
import type { Target } from './targets.ts';

export interface Job {
  readonly target: string;
  /** Of this process's own processor time: a busy machine takes longer, and gives as much. */
  readonly seconds: number;
  readonly seed: number;
  /** A file for the input: number of the call, its length, each of 4 bytes, then its bytes. */
  readonly input: string;
  /** The module with the row of `target`. */
  readonly targets: string;
}

export type Finding = { readonly kind: 'crash' | 'slow' | 'memory'; readonly what: string };

/** What a process says when it ends by itself. */
export interface Report {
  readonly finding: Finding | null;
  readonly peakMiB: number;
}

const { target, seconds, seed, input, targets } = JSON.parse(process.argv[2] as string) as Job;
const file = openSync(input, 'r+');
const memory = Buffer.alloc(8 + MOST);
let calls = 0;
const { TARGETS } = (await import(targets)) as { TARGETS: readonly Target[] };
const { parse, seeds: own } = TARGETS.find(({ name }) => name === target) as Target;
const all = await makeSeeds();
const pool = Object.values(all);
const mine = own.flatMap((name) => all[name] ?? []);
const next = numbers(seed);

const pick = (list: readonly Uint8Array[]): Uint8Array => list[next(list.length)] as Uint8Array;

/** A refusal with a code is what a parser is for; anything else that it throws is a defect. */
function call(bytes: Uint8Array): string | undefined {
  try {
    parse(bytes);
  } catch (error) {
    if (isIronError(error) && error.code !== 'E_INTERNAL') return undefined;
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  return undefined;
}

const cpuSeconds = (): number => process.cpuUsage().user / 1e6;

function tryOne(bytes: Uint8Array): Finding | undefined {
  memory.writeUInt32LE(++calls, 0);
  memory.writeUInt32LE(bytes.length, 4);
  memory.set(bytes, 8);
  writeSync(file, memory, 0, 8 + bytes.length, 0);
  const began = performance.now();
  const defect = call(bytes);
  if (defect !== undefined) return { kind: 'crash', what: defect };
  const took = performance.now() - began;
  // The limit of V8 is about its heap alone; who fills buffers beside it takes time for that.
  if (took >= 5) {
    const beside = process.memoryUsage().arrayBuffers / 2 ** 20;
    if (beside > MEMORY_MIB) return { kind: 'memory', what: `${beside.toFixed(0)} MiB of buffers` };
  }
  if (took < 1000 * CALL_SECONDS) return undefined;
  // Perhaps the machine was busy: what counts is the processor's time, and the better of two.
  const times = [0, 1].map(() => {
    const before = cpuSeconds();
    call(bytes);
    return cpuSeconds() - before;
  });
  const best = Math.min(...times);
  return best < CALL_SECONDS ? undefined : { kind: 'slow', what: `${best.toFixed(2)} s` };
}

let found: Finding | undefined;
// The good ones, and what once did harm, first.
for (const bytes of pool) found ??= bytes.length <= MOST ? tryOne(bytes) : undefined;
const spent = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
const until = spent() + seconds;
while (found === undefined && spent() < until) {
  const from = next(4) === 0 ? pick(pool) : pick(mine);
  found = tryOne(mutate(from, pick(pool), next));
}
const peakMiB = process.resourceUsage().maxRSS / 1024;
process.send?.({ finding: found ?? null, peakMiB } satisfies Report, () => process.disconnect());
