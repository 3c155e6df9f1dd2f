/**
 * Passing interrupts on: the kernel signals event descriptors that stay with this process, and the
 * driver waits on others, which are signalled within the budget of the grant. So that a driver can
 * neither be flooded by its device nor wire an interrupt past us.
 */

import { readSync, writeSync } from 'node:fs';
import {
  arrive,
  type InterruptMetrics,
  newVector,
  type VectorState,
} from '../shared/manifest/interrupt-budget.ts';
import { isErrno } from '../shared/node/errno.ts';
import { libc } from './host/libc.ts';

export interface Relaying {
  /** What the kernel signals, a vector each. */
  readonly from: readonly number[];
  /** What the driver waits on. */
  readonly to: readonly number[];
  /** Interrupts a second, over all vectors. */
  readonly perSecond: number;
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
  const { from, to, perSecond, onBreach, nowMs } = relaying;
  const share = Math.floor(perSecond / Math.max(1, from.length));
  const budget = { perSecond: share, burst: share, lifetimeMax: null, ticksMax: null };
  const states: VectorState[] = from.map(() => newVector(budget, nowMs()));
  const pass = (vector: number): void => {
    const count = take(from[vector] as number);
    if (count === 0) return;
    const { state, passed, verdict } = arrive(states[vector] as VectorState, count, nowMs());
    states[vector] = state;
    if (passed > 0) give(to[vector] as number, passed);
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
