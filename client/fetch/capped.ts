/** Pieces that are counted as they come. */

import { IronError } from '../../shared/errors.ts';
import type { FetchOptions } from './fetcher.ts';

/** Passes pieces on; throws `tooMuch()` instead of the one that would exceed `limit` bytes. */
export async function* cappedPieces(
  pieces: AsyncIterable<Uint8Array>,
  limit: number,
  tooMuch: () => IronError,
  options: FetchOptions = {},
): AsyncGenerator<Uint8Array, void> {
  let total = 0;
  for await (const piece of pieces) {
    options.signal?.throwIfAborted();
    total += piece.length;
    if (total > limit) throw tooMuch();
    options.onBytes?.(piece.length);
    yield piece;
  }
}

/** `E_LENGTH` about a target that goes on behind its signed end. */
export function tooLong(name: string, length: number): IronError {
  return new IronError('E_LENGTH', `${name} has more than the ${length} bytes that were signed`, {
    hint: 'nothing was changed; the mirror serves another file: try another one',
    context: { expected: length },
  });
}
