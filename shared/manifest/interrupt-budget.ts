/**
 * Interrupts inside a budget: a token bucket for each vector, the counters that IronShim-rs keeps
 * under its names, and the quarantine that follows a breach. Pure: time comes in with each call, and
 * a state goes in and another comes out. Whoever stops the vector in hardware acts on `verdict`.
 *
 * IronShim-rs counts calls over a whole life; a device that runs for a year needs a rate as well.
 * Both are kept: `lifetimeMax` is its `max_calls`, the bucket is ours.
 */

import type { JsonObject } from '../json/value.ts';
import { coreError } from './core-errors.ts';

export interface InterruptBudget {
  /** Tokens that come back each second, and how many the bucket holds at most: the burst. */
  readonly perSecond: number;
  readonly burst: number;
  /** Most interrupts ever; null: no end. IronShim-rs `max_calls`. */
  readonly lifetimeMax: number | null;
  /** Longest that handling one may take, in the caller's ticks; null: not watched. `max_ticks`. */
  readonly ticksMax: number | null;
}

/** IronShim-rs `QuarantineReason`. */
export const QUARANTINE_REASONS = [
  'BudgetExceeded',
  'HandlerFault',
  'TimeoutFault',
  'ContainmentEvent',
] as const;
export type QuarantineReason = (typeof QUARANTINE_REASONS)[number];

/** IronShim-rs `InterruptMetrics`, the part about interrupts. */
export interface InterruptMetrics {
  readonly irqCalls: number;
  /** Came while the vector was quarantined: nobody was told. */
  readonly missed: number;
  readonly latencyTicks: number;
  readonly budgetViolations: number;
  readonly quarantineReason: QuarantineReason | null;
}

/** Under the names that the core has for them. */
export function interruptJson(metrics: InterruptMetrics): JsonObject {
  return {
    irq_calls: metrics.irqCalls,
    missed: metrics.missed,
    budget_violations: metrics.budgetViolations,
    quarantine_reason: metrics.quarantineReason,
  };
}

export interface VectorState {
  readonly budget: InterruptBudget;
  readonly tokens: number;
  /** Milliseconds of the clock by which the bucket was last filled. */
  readonly filledAt: number;
  readonly metrics: InterruptMetrics;
}

/** A vector that nothing happened on yet, its bucket full. */
export function newVector(budget: InterruptBudget, nowMs: number): VectorState {
  const metrics: InterruptMetrics = {
    irqCalls: 0,
    missed: 0,
    latencyTicks: 0,
    budgetViolations: 0,
    quarantineReason: null,
  };
  return { budget, tokens: budget.burst, filledAt: nowMs, metrics };
}

/** What one arrival of interrupts came to. */
export interface Arrival {
  readonly state: VectorState;
  /** How many the driver may be told of. */
  readonly passed: number;
  /** `brake`: the vector must be stopped, now. */
  readonly verdict: 'pass' | 'brake' | 'quarantined';
}

/**
 * `count` interrupts arrived at `nowMs` (an eventfd gives a count, edges coalesce). A clock that
 * went back fills nothing and takes nothing away.
 */
export function arrive(state: VectorState, count: number, nowMs: number): Arrival {
  const { budget, metrics } = state;
  if (metrics.quarantineReason !== null) {
    const after = { ...state, metrics: { ...metrics, missed: metrics.missed + count } };
    return { state: after, passed: 0, verdict: 'quarantined' };
  }
  const elapsed = Math.max(0, nowMs - state.filledAt);
  const filled = Math.min(budget.burst, state.tokens + (elapsed * budget.perSecond) / 1000);
  const left = (budget.lifetimeMax ?? Number.POSITIVE_INFINITY) - metrics.irqCalls;
  const passed = Math.min(count, Math.floor(filled), left);
  const over = passed < count;
  const after: VectorState = {
    budget,
    tokens: filled - passed,
    filledAt: Math.max(nowMs, state.filledAt),
    metrics: {
      ...metrics,
      irqCalls: metrics.irqCalls + passed,
      missed: metrics.missed + (count - passed),
      budgetViolations: metrics.budgetViolations + (over ? 1 : 0),
      quarantineReason: over ? 'BudgetExceeded' : null,
    },
  };
  return { state: after, passed, verdict: over ? 'brake' : 'pass' };
}

/** Handling took `ticks`, or failed. Longer than allowed, or a failure, is quarantine. */
export function handled(state: VectorState, ticks: number, failed = false): VectorState {
  const { budget, metrics } = state;
  const late = budget.ticksMax !== null && ticks > budget.ticksMax;
  const reason: QuarantineReason | null = failed ? 'HandlerFault' : late ? 'TimeoutFault' : null;
  return {
    ...state,
    metrics: {
      ...metrics,
      latencyTicks: Math.max(metrics.latencyTicks, ticks),
      budgetViolations: metrics.budgetViolations + (late ? 1 : 0),
      // The first reason stays: what follows it is its consequence.
      quarantineReason: metrics.quarantineReason ?? reason,
    },
  };
}

/** A bounded queue of deferred work, first in, first out: IronShim-rs `WorkQueue`. */
export class WorkQueue<T> {
  readonly #limit: number;
  /** Owned by this queue alone. */
  readonly #items: T[] = [];
  #dropped = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get length(): number {
    return this.#items.length;
  }

  /** How many were refused because the queue was full. */
  get dropped(): number {
    return this.#dropped;
  }

  /** `E_QUOTA` (`OutOfMemory`) when the queue is full. */
  push(item: T): void {
    if (this.#items.length >= this.#limit) {
      this.#dropped += 1;
      throw coreError('OutOfMemory', `more than ${this.#limit} pieces of deferred work`);
    }
    this.#items.push(item);
  }

  /** The oldest. `E_OUT_OF_GRANT` (`ResourceNotGranted`) when there is none. */
  pop(): T {
    if (this.#items.length === 0) throw coreError('ResourceNotGranted', 'no deferred work');
    return this.#items.shift() as T;
  }
}
