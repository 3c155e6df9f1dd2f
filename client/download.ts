/**
 * A target, from the repository to its place. It arrives under another name beside that place,
 * hashed while it streams, and gets its own name only when it is whole, verified and durable. What
 * a broken run leaves is taken up by the next one, and hashed again.
 */

import { createHash } from 'node:crypto';
import { access, constants } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { IronError, isIronError } from '../shared/errors.ts';
import { store as layout } from '../shared/layout.ts';
import { onPath, systemFiles, type WithFiles } from '../shared/node/file-system.ts';
import { openRegular, syncFolder } from '../shared/node/files.ts';
import { pieces } from '../shared/node/hash.ts';
import { withLock } from '../shared/node/lock.ts';
import type { Source } from './fetch/source.ts';
import { HashingWriter } from './hashing-writer.ts';
import { Partial } from './partial.ts';
import { ensureCacheFolder } from './store/places.ts';
import { type TargetFile, verifyMeasured } from './target-file.ts';

export interface DownloadOptions extends WithFiles {
  readonly fetcher: Source;
  readonly target: TargetFile;
  /** Where it goes; its folder must be there. */
  readonly out: string;
  /** Whether what a broken run leaves is kept for the next one; true when absent. */
  readonly resumable?: boolean;
  /** A store's folder: two processes that want the same place wait for each other there. */
  readonly lockFolder?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called as bytes are there: those that an earlier run had left first. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/** `kept`: the place had it already, and its digests were computed to know that. */
export type DownloadOutcome = 'downloaded' | 'kept';

/**
 * Brings the target to `out` (TUF 5.7). Throws `E_LENGTH` and `E_HASH` on other bytes than the
 * signed ones, `E_NETWORK`, `E_SLOW`, `E_NOT_FOUND`, `E_IO`, `E_NO_SPACE`; whatever stood at
 * `out` stands there still, then.
 */
export async function downloadTarget(options: DownloadOptions): Promise<DownloadOutcome> {
  const { lockFolder, out, signal } = options;
  const act = (): Promise<DownloadOutcome> =>
    onPath(out, async () => {
      if (await isThere(options)) return 'kept';
      await fetchInto(options);
      return 'downloaded';
    });
  if (lockFolder === undefined) return act();
  const lock = { waitMs: 3_600_000, purpose: `downloading ${out}` };
  const place = await lockFor(lockFolder, out);
  return withLock(place, act, signal === undefined ? lock : { ...lock, signal });
}

/**
 * The lock of everybody who writes to `out`. Where the store is read-only it lies beside `out`, and
 * stays: a store that cannot be written to is still good for all that it can verify.
 */
async function lockFor(lockFolder: string, out: string): Promise<string> {
  const folder = join(lockFolder, layout.downloads);
  const isWritable = await access(lockFolder, constants.W_OK).then(
    () => true,
    (error) => error?.code === 'ENOENT',
  );
  if (!isWritable) return join(dirname(resolve(out)), '.ironport-lock');
  await ensureCacheFolder(folder);
  // So many locks and no more: a lock file cannot be removed while others may wait for it.
  return join(folder, createHash('sha256').update(resolve(out)).digest('hex').slice(0, 3));
}

/** Whether `out` is the target already. */
async function isThere({ target, out, onBytes, files, signal }: DownloadOptions): Promise<boolean> {
  const file = await openRegular(out, files === undefined ? {} : { files }).catch((error) => {
    if (isIronError(error, 'E_NOT_FOUND')) return undefined;
    throw error;
  });
  if (file === undefined) return false;
  try {
    if ((await file.stat()).size !== target.length) return false;
    const measured = new HashingWriter(target.hashes.keys());
    for await (const piece of pieces(file)) {
      signal?.throwIfAborted();
      measured.measure(piece);
    }
    const digests = await measured.finish();
    const isSame = [...target.hashes].every(([name, value]) => digests.get(name) === value);
    if (isSame) onBytes?.(target.length);
    return isSame;
  } finally {
    await file.close();
  }
}

async function fetchInto(options: DownloadOptions): Promise<void> {
  const { target, out, files = systemFiles } = options;
  const partial = new Partial(out, target, options.fetcher.origin, files);
  try {
    const isDone = await onPath(out, () => receive(options, partial));
    if (!isDone) {
      // What an earlier run had left was not the beginning of this file: a power cut, or another
      // hand. Once more, from nothing.
      await partial.discard();
      await onPath(out, () => receive(options, partial));
    }
  } catch (error) {
    // What was not the target is not worth keeping; what is incomplete is.
    const isUseless = isIronError(error, 'E_LENGTH', 'E_HASH', 'E_NOT_FOUND', 'E_NO_SPACE');
    if (isUseless || options.resumable === false) {
      await partial.discard().catch(() => {});
    }
    throw error;
  }
  await syncFolder(dirname(out), files);
}

/** Receives and places the target; false when it was taken up from a beginning that was not its. */
async function receive(options: DownloadOptions, partial: Partial): Promise<boolean> {
  const { fetcher, target, out, signal, onBytes, files = systemFiles } = options;
  const kept = await partial.open();
  let { file } = kept;
  let writer = new HashingWriter(target.hashes.keys(), file);
  try {
    const resume =
      kept.validator === undefined || kept.length === 0
        ? undefined
        : { offset: kept.length, validator: kept.validator };
    const opened = await fetcher.openFile(target.place, target.length, resume, { signal });
    if (opened.start > 0) {
      for await (const piece of pieces(file)) writer.measure(piece);
      onBytes?.(writer.length);
    } else if (kept.length > 0) {
      await file.close();
      await partial.discard();
      ({ file } = await partial.open());
      writer = new HashingWriter(target.hashes.keys(), file);
    }
    if (opened.start === 0) await partial.remember(opened.validator);
    for await (const piece of opened.pieces) {
      await writer.write(piece);
      onBytes?.(piece.length);
    }
    const digests = await writer.finish();
    try {
      verifyMeasured(target, writer.length, digests);
    } catch (error) {
      if (opened.start > 0) return false;
      throw error;
    }
    await file.sync();
    await files.rename(partial.path, out);
    await partial.forget();
    return true;
  } finally {
    await writer.settle();
    await file.close().catch(() => {});
  }
}

/** The bytes of a small target, verified, in memory; more than `cap` is `E_TOO_LARGE`. */
export async function fetchTarget(
  fetcher: Source,
  target: TargetFile,
  cap: number,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Uint8Array> {
  if (target.length > cap) {
    throw new IronError('E_TOO_LARGE', `${target.path} has ${target.length} bytes, over ${cap}`, {
      context: { path: target.path, length: target.length, limit: cap },
    });
  }
  const { pieces: arriving } = await fetcher.openFile(
    target.place,
    target.length,
    undefined,
    options,
  );
  const bytes = new Uint8Array(target.length);
  const writer = new HashingWriter(target.hashes.keys());
  for await (const piece of arriving) {
    bytes.set(piece, writer.length);
    writer.measure(piece);
  }
  verifyMeasured(target, writer.length, await writer.finish());
  await fetcher.keep?.(target.place, bytes);
  return bytes;
}
