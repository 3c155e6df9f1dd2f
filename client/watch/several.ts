/**
 * Several repositories that one process watches: each on its own schedule, none waits for another, and
 * what one fails with stops no other.
 */

import { setTimeout } from 'node:timers/promises';
import { asIronError, type IronError } from '../../shared/errors.ts';
import type { Turn } from './cycle.ts';

export interface WatchedRepository {
  /** By which it is said; undefined of the only one. */
  readonly name: string | undefined;
  /** Seconds between turns, before chance has its say. */
  readonly every: number;
  readonly turn: () => Promise<Turn>;
}

/** What came of a turn of one of them. */
export interface Turned {
  readonly name: string | undefined;
  readonly turn: Turn | undefined;
  /** Why there was none. */
  readonly error: IronError | undefined;
}

/** One turn of each, side by side; in their order. */
export async function turnAll(
  watched: readonly WatchedRepository[],
  signal: AbortSignal,
): Promise<Turned[]> {
  const all = await Promise.all(watched.map(turned));
  signal.throwIfAborted();
  return all;
}

/** Turn after turn of each, until `signal`, which is thrown. Only its user ends a watch. */
export async function watchAll(
  watched: readonly WatchedRepository[],
  options: {
    readonly signal: AbortSignal;
    readonly random: () => number;
    readonly onTurn: (turned: Turned) => void;
  },
): Promise<never> {
  const { signal, random, onTurn } = options;
  const goOn = async (one: WatchedRepository): Promise<never> => {
    for (;;) {
      const done = await turned(one);
      signal.throwIfAborted();
      onTurn(done);
      await pause(jittered(one.every, random()) * 1000, signal);
    }
  };
  // Nothing but the signal ends one of them, and that ends all.
  return (await Promise.all(watched.map(goOn)))[0] as never;
}

/** A timer of more than this fires at once (Node: `setTimeout`): a year between turns would be none. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  for (let left = ms; left >= 0; left -= LONGEST_TIMER_MS)
    await setTimeout(Math.min(left, LONGEST_TIMER_MS), undefined, { signal });
}

/** Between nine and eleven tenths: hosts that started together do not ask together for ever. */
export function jittered(seconds: number, chance: number): number {
  return Math.round(seconds * (0.9 + 0.2 * chance));
}

async function turned({ name, turn }: WatchedRepository): Promise<Turned> {
  try {
    return { name, turn: await turn(), error: undefined };
  } catch (thrown) {
    return { name, turn: undefined, error: asIronError(thrown) };
  }
}
