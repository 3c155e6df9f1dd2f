/** Files of any size, hashed while they stream: memory stays constant. */

import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { dirname } from 'node:path';
import { type OpenFile, onPath, systemFiles, type WithFiles } from './file-system.ts';
import { openRegular, type ReadOptions, syncFolder, tooLarge, writeAll } from './files.ts';

/** Length in bytes and SHA-256 in lower-case hexadecimal. */
export interface Measured {
  readonly length: number;
  readonly sha256: string;
}

export interface StreamOptions {
  readonly signal?: AbortSignal;
  /** Called with the length of each piece: for progress. */
  readonly onBytes?: (length: number) => void;
  /** Most bytes taken; one more is `E_TOO_LARGE`. */
  readonly cap?: number;
}

const PIECE = 1024 * 1024;
/**
 * The first piece: most files are small, and a large buffer for each of them, filled with zeros and
 * collected again, costs more than their hash.
 */
const FIRST = 128 * 1024;

/**
 * The content of an open file, piece by piece, from where it stands. The buffer is used again: a
 * piece is good until the next one is asked for.
 */
export async function* pieces(file: OpenFile, size = PIECE): AsyncGenerator<Uint8Array, void> {
  let buffer = unfilled(Math.min(size, FIRST));
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    if (bytesRead === buffer.length && buffer.length < size) buffer = unfilled(size);
  }
}

/** Of what is in it, only what was read is ever shown. */
function unfilled(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
}

/** Measures a regular file. `E_NOT_FOUND`, `E_TOO_LARGE`, `E_IO`; the signal's reason. */
export async function hashFile(
  path: string,
  options: StreamOptions & ReadOptions = {},
): Promise<Measured> {
  const file = await openRegular(path, options);
  try {
    return await onPath(path, () => measure(path, pieces(file), options));
  } finally {
    await file.close();
  }
}

/** Measures an open file from where it stands, e.g. one that was opened once and stays open. */
export async function hashOpenFile(
  file: OpenFile,
  name: string,
  options: StreamOptions = {},
): Promise<Measured> {
  return await onPath(name, () => measure(name, pieces(file), options));
}

/**
 * Copies `source` into a new file at `path` while hashing. The file is there, whole and durable,
 * when this returns; when it throws, there is none. It must not exist (`E_IO`): to replace one,
 * copy beside it and rename.
 */
export async function copyHashing(
  source: AsyncIterable<Uint8Array>,
  path: string,
  options: StreamOptions & WithFiles & { readonly mode?: number } = {},
): Promise<Measured> {
  const files = options.files ?? systemFiles;
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  const file = await onPath(path, () => files.open(path, flags, options.mode ?? 0o644));
  try {
    let measured: Measured;
    try {
      measured = await copyHashingInto(source, file, path, options);
      await onPath(path, () => file.sync());
    } finally {
      await onPath(path, () => file.close());
    }
    await onPath(path, () => syncFolder(dirname(path), files));
    return measured;
  } catch (error) {
    await files.unlink(path).catch(() => {});
    throw error;
  }
}

/** Copies `source` into an open file while hashing. Neither syncs nor closes it. */
export async function copyHashingInto(
  source: AsyncIterable<Uint8Array>,
  file: OpenFile,
  name: string,
  options: StreamOptions = {},
): Promise<Measured> {
  return await measure(name, source, options, (piece) => onPath(name, () => writeAll(file, piece)));
}

/** Measures what comes, whatever it comes from. `E_TOO_LARGE` over the cap. */
export async function hashPieces(
  source: AsyncIterable<Uint8Array>,
  name: string,
  options: StreamOptions = {},
): Promise<Measured> {
  return await measure(name, source, options);
}

async function measure(
  name: string,
  source: AsyncIterable<Uint8Array>,
  options: StreamOptions,
  also?: (piece: Uint8Array) => Promise<void>,
): Promise<Measured> {
  const { signal, onBytes, cap = Number.POSITIVE_INFINITY } = options;
  const hash = createHash('sha256');
  let length = 0;
  // Leaving the loop by a throw also ends the source: a socket is not read to its end.
  for await (const piece of source) {
    signal?.throwIfAborted();
    length += piece.length;
    if (length > cap) throw tooLarge(name, cap);
    hash.update(piece);
    await also?.(piece);
    onBytes?.(piece.length);
  }
  return { length, sha256: hash.digest('hex') };
}
