/** Bodies that come too slowly are ended: a connection held open for nothing is an attack. */

import { IronError } from '../../shared/errors.ts';
import { TRANSPORT_LIMITS } from '../../shared/limits.ts';

export interface Pace {
  readonly minimumBytesPerSecond: number;
  readonly windowSeconds: number;
}

const PACE: Pace = {
  minimumBytesPerSecond: TRANSPORT_LIMITS.minimumBytesPerSecond,
  windowSeconds: TRANSPORT_LIMITS.slowWindowSeconds,
};

/**
 * The pieces of `body`. Throws `E_SLOW` when a whole window brought less than the minimum (TUF
 * 1.5.2, slow retrieval, turned around). The time that we take ourselves to put a piece away does
 * not count.
 */
export async function* paced(
  body: AsyncIterable<Uint8Array>,
  pace: Pace = PACE,
): AsyncGenerator<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  const windowMs = pace.windowSeconds * 1000;
  const minimum = pace.minimumBytesPerSecond * pace.windowSeconds;
  let waited = 0;
  let came = 0;
  /** Asked for and not there yet; kept over the end of a window. */
  let pending: Promise<IteratorResult<Uint8Array>> | undefined;
  try {
    for (;;) {
      const began = performance.now();
      pending ??= iterator.next();
      const next = await within(pending, windowMs - waited);
      waited += performance.now() - began;
      if (next !== undefined) pending = undefined;
      if (next?.done === true) return;
      came += next?.value.length ?? 0;
      if (next === undefined || waited >= windowMs) {
        if (came < minimum) throw tooSlow(came, pace);
        waited = 0;
        came = 0;
      }
      if (next !== undefined) yield next.value;
    }
  } finally {
    // Not waited for: it would wait for the piece that does not come.
    pending?.catch(() => {});
    iterator.return?.().catch(() => {});
  }
}

/** What comes of `promise` in time, or undefined when it does not. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, Math.max(ms, 0), undefined);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function tooSlow(came: number, pace: Pace): IronError {
  return new IronError('E_SLOW', `only ${came} bytes came in ${pace.windowSeconds} seconds`, {
    hint: 'what came before is kept; ask with HEAD where to go on',
  });
}
