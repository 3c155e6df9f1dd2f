/** A target that is a file here. */

import { onPath } from '../../shared/node/file-system.ts';
import { openRegular } from '../../shared/node/files.ts';
import { pieces } from '../../shared/node/hash.ts';
import { cappedPieces, tooLong } from './capped.ts';
import type { FetchOptions, OpenedFile } from './fetcher.ts';

/**
 * Opens it as a fetcher does; of more than `length` bytes it is `E_LENGTH`. With `nofollow`, a link in
 * its place is refused.
 */
export async function openLocal(
  place: string,
  length: number,
  options: FetchOptions & { readonly nofollow?: boolean } = {},
): Promise<OpenedFile> {
  options.signal?.throwIfAborted();
  const file = await openRegular(place, { nofollow: options.nofollow === true });
  const content = async function* (): AsyncGenerator<Uint8Array, void> {
    try {
      yield* pieces(file);
    } finally {
      await file.close();
    }
  };
  try {
    const { size } = await onPath(place, () => file.stat());
    if (size > length) throw tooLong(place, length);
  } catch (error) {
    await file.close();
    throw error;
  }
  // A local copy is as fast as reading what was kept of it: it is not taken up.
  const capped = cappedPieces(content(), length, () => tooLong(place, length), options);
  return { start: 0, validator: undefined, pieces: capped };
}
