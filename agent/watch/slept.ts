/**
 * Whether the machine was suspended: the clock since the boot goes on meanwhile, the one by which processes
 * measure does not (clock_gettime(2), CLOCK_BOOTTIME and CLOCK_MONOTONIC).
 */

import { uptime } from 'node:os';

export interface Clocks {
  /** Seconds since the boot, suspended ones too. */
  readonly boot: () => number;
  /** Seconds that were not. */
  readonly awake: () => number;
}

const SYSTEM: Clocks = { boot: uptime, awake: () => performance.now() / 1000 };
/** What the two are read apart; no suspend is as short. */
const LEAST = 0.5;

/** Since `baseline`, and each time but once, how many seconds it was; undefined when it was not. */
export class Sleeps {
  readonly #clocks: Clocks;
  /** The most that it can have been until then. */
  #before: number;

  constructor(clocks: Clocks = SYSTEM) {
    this.#clocks = clocks;
    this.#before = this.#read().most;
  }

  look(): number | undefined {
    const { least, most } = this.#read();
    const slept = least - this.#before;
    // Whoever is kept waiting between two clocks may see too little of it, and sees it the next time.
    if (slept < LEAST) return undefined;
    this.#before = most;
    return slept;
  }

  #read(): { readonly least: number; readonly most: number } {
    const { boot, awake } = this.#clocks;
    const first = awake();
    const since = boot();
    return { least: since - awake(), most: since - first };
  }
}
