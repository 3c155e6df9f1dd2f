/**
 * How many bytes a second this process takes from servers, all its downloads together: a token
 * bucket. Whoever took a piece waits until it is paid for; meanwhile the socket is not read, so the
 * other side slows down. What we hold back ourselves is never called slow.
 */

import { IronError } from '../../shared/errors.ts';
import { TRANSPORT_LIMITS } from '../../shared/limits.ts';

export interface RateClock {
  /** In milliseconds, and never set back. */
  now(): number;
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

/** So much may be taken at once after a rest, in milliseconds of the rate. */
const BURST = 100;

export class RateLimit {
  readonly bytesPerSecond: number;
  readonly #clock: RateClock;
  /** When all that was taken so far is paid for. Each `take` moves it on before it waits. */
  #paid = Number.NEGATIVE_INFINITY;

  /** `E_USAGE` unless `bytesPerSecond` is at least 1. */
  constructor(bytesPerSecond: number, clock: RateClock = systemRateClock) {
    if (!Number.isSafeInteger(bytesPerSecond) || bytesPerSecond < 1) throw notARate(bytesPerSecond);
    this.bytesPerSecond = bytesPerSecond;
    this.#clock = clock;
  }

  /** What may lie unread before a socket is told to wait: little, or the limit would begin late. */
  get buffer(): number {
    const { buffer, smallestBuffer } = TRANSPORT_LIMITS;
    return Math.max(smallestBuffer, Math.min(buffer, Math.floor(this.bytesPerSecond / 4)));
  }

  /** Resolves when `bytes` that arrived are paid for; those who came before wait less. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    const now = this.#clock.now();
    this.#paid = Math.max(this.#paid, now - BURST) + (bytes / this.bytesPerSecond) * 1000;
    if (this.#paid <= now) return;
    try {
      await this.#clock.sleep(this.#paid - now, signal);
    } finally {
      signal?.throwIfAborted();
    }
  }

  /** The same pieces, each when it is paid for. */
  async *pace(
    pieces: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void> {
    for await (const piece of pieces) {
      await this.take(piece.length, signal);
      yield piece;
    }
  }
}

/** `500K`, `1.5M`, `2g`, `65536`: bytes a second, with units of 1024 as curl and wget have them. */
export function parseRate(text: string): number {
  const [, number = '', unit = ''] = /^(\d{1,12}(?:\.\d{1,3})?)([kmg]?)$/i.exec(text) ?? [];
  const power = ['', 'k', 'm', 'g'].indexOf(unit.toLowerCase());
  const rate = Math.floor(Number(number) * 1024 ** power);
  if (number === '' || rate < 1 || !Number.isSafeInteger(rate)) throw notARate(text);
  return rate;
}

function notARate(what: string | number): IronError {
  return new IronError('E_USAGE', `not a rate: ${JSON.stringify(what)}`, {
    hint: 'nothing was done; write bytes a second, at least 1, with K, M or G for units of 1024: 500K',
  });
}

const systemRateClock: RateClock = {
  now: () => performance.now(),
  async sleep(milliseconds, signal) {
    const { setTimeout } = await import('node:timers/promises');
    // A timer takes 2^31 ms at most; a piece that must wait longer than that waits for weeks.
    const span = Math.min(milliseconds, 2 ** 31 - 1);
    await setTimeout(span, undefined, signal === undefined ? {} : { signal });
  },
};
