/**
 * How fast a broker serves, and how much it says about what it refused. Pure; uses nothing but what
 * it is given (`program.ts`).
 */

import type { Report } from './report.ts';
import type { Request, STATUS, Status, StatusName } from './wire.ts';

/** Takes one token at `nowMs`; returns how many milliseconds to wait until there is one. */
export type Bucket = (nowMs: number) => number;

/** A bucket of `burst` tokens, full, to which `perSecond` come back. */
export function bucketOf(perSecond: number, burst: number): Bucket {
  let tokens = burst;
  let filledAt: number | undefined;
  return (nowMs) => {
    // A clock that went back fills nothing.
    const elapsed = Math.max(0, nowMs - (filledAt ?? nowMs));
    filledAt = Math.max(nowMs, filledAt ?? nowMs);
    tokens = Math.min(burst, tokens + (elapsed * perSecond) / 1000) - 1;
    return tokens >= 0 ? 0 : (-tokens * 1000) / perSecond;
  };
}

export interface Tally {
  /** What to say about it now; nothing, most times. */
  note(status: Status, request: Request): Report | undefined;
  /** What was counted, all of it. */
  totals(): Report[];
}

/**
 * Every kind of refusal is told of at its first, second, fourth, eighth time and so on: a flood of
 * refusals is a few lines, and the numbers are right.
 */
export function tallyOf(statuses: typeof STATUS): Tally {
  const names = new Map(
    Object.entries(statuses).map(([name, value]) => [value as Status, name as StatusName]),
  );
  const counts = new Map<Status, number>();
  return {
    note(status, { op, width, region, offset }) {
      const count = (counts.get(status) ?? 0) + 1;
      counts.set(status, count);
      const name = names.get(status);
      const isTold = status !== statuses.good && Number.isInteger(Math.log2(count));
      if (name === undefined || !isTold) return undefined;
      const example = { op, width, region, offset: `0x${offset.toString(16)}` };
      return { status: name, count, example };
    },
    totals: () =>
      [...names].map(([status, name]) => ({ status: name, count: counts.get(status) ?? 0 })),
  };
}
