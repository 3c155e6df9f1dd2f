/**
 * Passing interrupts on: the kernel signals event descriptors that stay with this process, and the
 * driver waits on others, which are signalled within the budget of the grant. So that a driver can
 * neither be flooded by its device nor wire an interrupt past us.
 */

import { readSync, writeSync } from 'node:fs';
import { type GrantedInterrupts, vectorBudget } from '../shared/manifest/grant-interrupts.ts';
import {
  arrive,
  type InterruptMetrics,
  newVector,
  type VectorState,
} from '../shared/manifest/interrupt-budget.ts';
import { isErrno } from '../shared/node/errno.ts';
import { libc } from './host/libc.ts';

/** What a grant says of how many. */
export type RelayBudget = Omit<GrantedInterrupts, 'kind' | 'vectors'>;

export interface Relaying {
  /** What the kernel signals, a vector each. */
  readonly from: readonly number[];
  /** What the driver waits on; none where no driver is run. */
  readonly to: readonly number[];
  readonly budget: RelayBudget;
  /** A vector went over its budget: it must be stopped, now. Called once for each. */
  readonly onBreach: (vector: number) => void;
  readonly nowMs: () => number;
}

export interface Relay {
  /** By vector. */
  metrics(): InterruptMetrics[];
  stop(): void;
}

export function relayInterrupts(relaying: Relaying): Relay {
  const { from, to, onBreach, nowMs } = relaying;
  const budget = vectorBudget(relaying.budget, from.length);
  const states: VectorState[] = from.map(() => newVector(budget, nowMs()));
  const pass = (vector: number): void => {
    const count = take(from[vector] as number);
    if (count === 0) return;
    const { state, passed, verdict } = arrive(states[vector] as VectorState, count, nowMs());
    states[vector] = state;
    const end = to[vector];
    if (passed > 0 && end !== undefined) give(end, passed);
    if (verdict === 'brake') onBreach(vector);
  };
  const watches = from.map((fd, vector) => libc().watch(fd, () => pass(vector)));
  return {
    metrics: () => states.map(({ metrics }) => metrics),
    stop() {
      for (const unwatch of watches.splice(0)) unwatch();
    },
  };
}

/** eventfd(2): reading gives the count and sets it to 0. */
function take(fd: number): number {
  const count = Buffer.alloc(8);
  try {
    readSync(fd, count, 0, 8, null);
  } catch (error) {
    if (isErrno(error) && error.code === 'EAGAIN') return 0;
    throw error;
  }
  return Number(count.readBigUInt64LE());
}

function give(fd: number, count: number): void {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(count));
  try {
    writeSync(fd, bytes);
  } catch (error) {
    // A driver that never reads lets it fill up, and has been told enough.
    if (!(isErrno(error) && error.code === 'EAGAIN')) throw error;
  }
}
