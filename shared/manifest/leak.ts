/**
 * Whether a program's use of something, memory or descriptors, grows and does not come back. Pure: time
 * comes in with each reading, and a state goes in and another comes out.
 *
 * What counts is the least use of a window: a collector of garbage, or a burst of work, makes use go up
 * and down, and only what is never given back lifts the least. A leak is a number of windows in succession
 * whose least is above that of the window before each, and a growth by then that is worth stopping a driver
 * for. One that is slower, or too uneven for that, meets the limit of its control group in the end.
 */

import type { Node } from '../json/decode.ts';
import { LEAK_LIMITS } from '../limits.ts';
import { readU64 } from './numbers.ts';

/** What a fleet policy calls a leak of a driver. */
export interface LeakBounds {
  /** A window lasts at least so long, */
  readonly windowSeconds: number;
  /** and so many of them in succession must each have a higher least use than the one before. */
  readonly windows: number;
  /** From the least before the first of them to the last one's: bytes of memory, */
  readonly memoryGrowthBytes: number;
  /** and open descriptors. */
  readonly descriptorGrowth: number;
}

/** An entry's `run.leak`, each member of which may be left out; `memoryBytes` is what the driver may have. */
export function readLeakBounds(node: Node | undefined, memoryBytes: bigint): LeakBounds {
  node?.only('window_seconds', 'windows', 'memory_growth_bytes', 'descriptor_growth');
  const { windowSeconds, windows, descriptorGrowth } = LEAK_LIMITS;
  const growth = node?.maybe('memory_growth_bytes');
  const grown = growth === undefined ? memoryBytes / 2n : readU64(growth, 1n);
  // More than it may have in all would mean never, and is more likely a mistake.
  if (growth !== undefined && grown > memoryBytes)
    throw growth.error('more than the memory_bytes of the driver');
  return {
    windowSeconds:
      node?.maybe('window_seconds')?.integer(1, windowSeconds.most) ?? windowSeconds.usual,
    windows: node?.maybe('windows')?.integer(2, windows.most) ?? windows.usual,
    memoryGrowthBytes: Number(grown),
    descriptorGrowth:
      node?.maybe('descriptor_growth')?.integer(1, descriptorGrowth.most) ?? descriptorGrowth.usual,
  };
}

/** By what the use of one thing is judged. */
export interface UseRule extends Pick<LeakBounds, 'windowSeconds' | 'windows'> {
  readonly growth: number;
  /** What it can have in all; null where nothing bounds it. */
  readonly limit: number | null;
}

export interface UseState {
  readonly rule: UseRule;
  /** The window under way: when it began, by the clock of the readings, and its least use. */
  readonly window: { readonly beganMs: number; readonly least: number } | null;
  /** Least use of the last whole window; null while there is none that counts. */
  readonly last: number | null;
  /** The window in which the program starts counts for nothing. */
  readonly isStarted: boolean;
  /** Windows in succession that are above the one before, and the least before the first of them. */
  readonly rising: number;
  readonly base: number;
  readonly isNear: boolean;
}

export type UseVerdict =
  /** It grew from one least to another through all these windows. */
  | { readonly kind: 'leak'; readonly from: number; readonly to: number; readonly windows: number }
  /** For a whole window it was at seven eighths of its limit or above; said once until it is below. */
  | { readonly kind: 'near'; readonly least: number; readonly limit: number };

export interface Judged {
  readonly state: UseState;
  readonly verdicts: readonly UseVerdict[];
}

/** Of a program that was not looked at yet. */
export function newUse(rule: UseRule): UseState {
  return { rule, window: null, last: null, isStarted: false, rising: 0, base: 0, isNear: false };
}

/**
 * A reading at `nowMs`. It ends the window under way when that is long enough, and begins the next: so
 * there is none without a reading, however late one comes. A clock that went back ends nothing.
 */
export function judgeUse(state: UseState, reading: number, nowMs: number): Judged {
  const { window, rule } = state;
  if (window === null) return { state: { ...state, window: begun(reading, nowMs) }, verdicts: [] };
  if (nowMs - window.beganMs < 1000 * rule.windowSeconds) {
    const least = Math.min(window.least, reading);
    return { state: { ...state, window: { ...window, least } }, verdicts: [] };
  }
  const judged = judgeWindow(state, window.least);
  return { ...judged, state: { ...judged.state, window: begun(reading, nowMs) } };
}

const begun = (least: number, beganMs: number): UseState['window'] => ({ beganMs, least });

function judgeWindow(state: UseState, least: number): Judged {
  const { rule, last } = state;
  if (!state.isStarted) return { state: { ...state, isStarted: true }, verdicts: [] };
  const isRising = last !== null && least > last;
  const rising = isRising ? state.rising + 1 : 0;
  const base = rising === 1 ? (last as number) : rising === 0 ? least : state.base;
  const isLeak = rising >= rule.windows && least - base >= rule.growth;
  const near = nearOf(rule, least);
  return {
    state: {
      ...{ ...state, last: least, isNear: near !== undefined },
      // Told once: the next leak is one that grows as much again.
      ...(isLeak ? { rising: 0, base: least } : { rising, base }),
    },
    verdicts: [
      ...(isLeak ? [{ kind: 'leak', from: base, to: least, windows: rising } as const] : []),
      ...(near === undefined || state.isNear ? [] : [near]),
    ],
  };
}

function nearOf({ limit }: UseRule, least: number): UseVerdict | undefined {
  return limit !== null && 8 * least >= 7 * limit ? { kind: 'near', least, limit } : undefined;
}
