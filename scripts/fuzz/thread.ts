/** Calls one parser with hostile bytes, over and over; what it is given stands in shared memory. */

import { parentPort, workerData } from 'node:worker_threads';
import { isIronError } from '../../shared/errors.ts';
import { MOST, mutate, numbers } from './mutate.ts';
import { makeSeeds } from './seeds.ts';
import { TARGETS } from './targets.ts';

export interface Job {
  readonly target: string;
  readonly seconds: number;
  readonly seed: number;
  /** The input: number of the call, its length, then its bytes. */
  readonly shared: SharedArrayBuffer;
}

export type Finding = { readonly kind: 'crash' | 'slow'; readonly what: string };

const { target, seconds, seed, shared } = workerData as Job;
const head = new Int32Array(shared, 0, 2);
const body = new Uint8Array(shared, 8, MOST);
const { parse, seeds: own } = TARGETS.find(({ name }) => name === target) as (typeof TARGETS)[0];
const all = await makeSeeds();
const pool = Object.values(all);
const mine = own.flatMap((name) => all[name] ?? []);
const next = numbers(seed);
const until = Date.now() + seconds * 1000;

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
  body.set(bytes);
  head[1] = bytes.length;
  Atomics.add(head, 0, 1);
  const began = performance.now();
  const defect = call(bytes);
  if (defect !== undefined) return { kind: 'crash', what: defect };
  if (performance.now() - began < 1000) return undefined;
  // Perhaps the machine was busy: what counts is the processor's time, and the better of two.
  const times = [0, 1].map(() => {
    const before = cpuSeconds();
    call(bytes);
    return cpuSeconds() - before;
  });
  const best = Math.min(...times);
  return best < 1 ? undefined : { kind: 'slow', what: `${best.toFixed(2)} s` };
}

let found: Finding | undefined;
// The good ones, and what once did harm, first.
for (const bytes of pool) found ??= bytes.length <= MOST ? tryOne(bytes) : undefined;
while (found === undefined && Date.now() < until) {
  const from = next(4) === 0 ? pick(pool) : pick(mine);
  found = tryOne(mutate(from, pick(pool), next));
}
parentPort?.postMessage(found ?? null);
