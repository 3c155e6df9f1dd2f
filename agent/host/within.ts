/** Waiting for what may never come: a process that the kernel does not let go of. */

import { setTimeout } from 'node:timers/promises';

/** What `wanted` gives, or what `late` throws when that takes longer. `wanted` is not stopped. */
export async function within<T>(
  wanted: Promise<T>,
  seconds: number,
  late: () => Error,
): Promise<T> {
  const over = new AbortController();
  const timer = setTimeout(1000 * seconds, undefined, { signal: over.signal }).then(() => {
    throw late();
  });
  try {
    return await Promise.race([wanted, timer]);
  } finally {
    over.abort();
    timer.catch(() => {});
  }
}
