/** A few at a time: bounded work side by side that ends together. */

import { IronError } from '../shared/errors.ts';
import { TRANSPORT_LIMITS } from '../shared/limits.ts';

/**
 * Does `act` for each item, at most `TRANSPORT_LIMITS.parallel` at once, begun in their order; the
 * results are in that order too. The first failure aborts the signal of the others and begins
 * nothing more; it is thrown when all of them have ended, so nothing goes on behind the caller.
 */
export async function inParallel<T, R>(
  items: readonly T[],
  act: (item: T, signal: AbortSignal) => Promise<R>,
  outer?: AbortSignal,
): Promise<R[]> {
  const stop = new AbortController();
  const signal = outer === undefined ? stop.signal : AbortSignal.any([outer, stop.signal]);
  const results: R[] = [];
  let next = 0;
  let failure: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    while (failure === undefined && next < items.length) {
      const at = next++;
      try {
        signal.throwIfAborted();
        results[at] = await act(items[at] as T, signal);
      } catch (error) {
        failure ??= { error };
        stop.abort(new IronError('E_CANCELLED', 'another download failed'));
      }
    }
  };
  const workers = Math.min(TRANSPORT_LIMITS.parallel, items.length);
  await Promise.all(Array.from({ length: workers }, worker));
  if (failure !== undefined) throw failure.error;
  return results;
}
