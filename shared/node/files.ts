/**
 * Small files, whole: written so that a reader and a crash at any instant see the old content or
 * the new, read so that neither size nor kind can surprise.
 */

import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { concatBytes, equalBytes } from '../bytes.ts';
import { IronError, isIronError } from '../errors.ts';
import { parseJson } from '../json/read.ts';
import type { JsonValue } from '../json/value.ts';
import { isErrno } from './errno.ts';
import {
  type FileSystem,
  type OpenFile,
  onPath,
  systemFiles,
  type WithFiles,
} from './file-system.ts';

export interface WriteOptions extends WithFiles {
  /** False when the caller makes file and name durable itself, with others (sync.ts). */
  readonly durable?: boolean;
  /** Permission bits before the umask; 0644 when absent. */
  readonly mode?: number;
}

const TEMPORARY = '.tmp-';

/** Whether a name is that of a file a crash left before it was complete: it may be deleted. */
export function isTemporaryName(name: string): boolean {
  return name.startsWith(TEMPORARY);
}

/** A name of that kind, for a caller that places a file itself. */
export function temporaryName(id: string): string {
  return `${TEMPORARY}${id}`;
}

/** Puts `bytes` at `path`, replacing what was there in one step, durably. `E_IO`, `E_NO_SPACE`. */
export async function writeFileAtomic(
  path: string,
  bytes: Uint8Array,
  options: WriteOptions = {},
): Promise<void> {
  const files = options.files ?? systemFiles;
  await onPath(path, async () => {
    await withTemporary(path, bytes, options.mode ?? 0o644, files, (temporary) =>
      files.rename(temporary, path),
    );
    await syncFolder(dirname(path), files);
  });
}

/**
 * Puts `bytes` at `path` unless something is there. The same content is fine (`'same'`), other
 * content is `E_EXISTS`. The file appears whole, by a hard link, and is never overwritten.
 */
export async function writeFileExclusive(
  path: string,
  bytes: Uint8Array,
  options: WriteOptions = {},
): Promise<'written' | 'same'> {
  const files = options.files ?? systemFiles;
  return await onPath(path, async () => {
    const durable = options.durable ?? true;
    const mode = options.mode ?? 0o644;
    const result = await withTemporary(
      path,
      bytes,
      mode,
      files,
      async (temporary) => {
        const placed = await linkOrCompare(temporary, path, bytes, files);
        await files.unlink(temporary);
        return placed;
      },
      durable,
    );
    // Also when it was there: whoever wrote it may have been killed before this step.
    if (durable) await syncFolder(dirname(path), files);
    return result;
  });
}

async function linkOrCompare(
  temporary: string,
  path: string,
  bytes: Uint8Array,
  files: FileSystem,
): Promise<'written' | 'same'> {
  try {
    await files.link(temporary, path);
    return 'written';
  } catch (error) {
    if (!isErrno(error) || error.code !== 'EEXIST') throw error;
    await demandSame(path, bytes, files);
    return 'same';
  }
}

async function demandSame(path: string, bytes: Uint8Array, files: FileSystem): Promise<void> {
  const differs = (cause?: unknown): IronError =>
    new IronError('E_EXISTS', `${path} exists already, with other content`, {
      hint: 'nothing was changed; choose another place, or remove it if it is not needed',
      context: { path },
      cause,
    });
  const found = await readFileCapped(path, bytes.length, { files, nofollow: true }).catch(
    (error) => {
      throw differs(error);
    },
  );
  if (!equalBytes(found, bytes)) throw differs();
}

/** Writes and, when asked, syncs a file beside `path`, then lets `place` give it its name. */
async function withTemporary<T>(
  path: string,
  bytes: Uint8Array,
  mode: number,
  files: FileSystem,
  place: (temporary: string) => Promise<T>,
  durable = true,
): Promise<T> {
  // Same folder, so that no file system lies between; a name of its own, so that a `path` of the
  // greatest length still has one.
  const temporary = join(dirname(path), `${TEMPORARY}${randomBytes(12).toString('hex')}`);
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const file = await files.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  try {
    try {
      await writeAll(file, bytes);
      if (durable) await file.sync();
    } finally {
      await file.close();
    }
    return await place(temporary);
  } catch (error) {
    // After a crash it stays, under a name that says so; after a failure it need not.
    await files.unlink(temporary).catch(() => {});
    throw error;
  }
}

/** Writes all of `bytes`, however little each call takes. */
export async function writeAll(file: OpenFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at);
    at += bytesWritten;
  }
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string, files: FileSystem = systemFiles): Promise<void> {
  const folder = await files.open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export interface ReadOptions extends WithFiles {
  /** Refuse a symbolic link in the last place of the path. */
  readonly nofollow?: boolean;
}

/**
 * Opens a regular file for reading. `E_NOT_FOUND` when there is none; `E_IO` when it is a folder,
 * a device or a pipe, whose reading could take for ever.
 */
export async function openRegular(path: string, options: ReadOptions = {}): Promise<OpenFile> {
  const files = options.files ?? systemFiles;
  // O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
  const flags =
    constants.O_RDONLY |
    constants.O_NONBLOCK |
    (options.nofollow === true ? constants.O_NOFOLLOW : 0);
  const file = await onPath(path, () => files.open(path, flags), 'E_NOT_FOUND');
  try {
    const found = await onPath(path, () => file.stat());
    if (!found.isFile()) {
      throw new IronError('E_IO', `${path} is not a regular file`, {
        why: `it is ${kindOf(found)}`,
        hint: 'name a file',
        context: { path, kind: kindOf(found) },
      });
    }
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** What stands at a place, for messages. */
export function kindOf(found: Stats): string {
  if (found.isFile()) return 'a file';
  if (found.isDirectory()) return 'a folder';
  if (found.isSymbolicLink()) return 'a symbolic link';
  if (found.isFIFO()) return 'a pipe';
  return found.isSocket() ? 'a socket' : 'a device';
}

/**
 * Whether a file could not be read because something else stands in its place, by the error of
 * `openRegular` with `nofollow`: a folder, a pipe, a device, a socket or a link; or a part of its path
 * is no folder.
 */
export function isOtherKind(error: unknown): error is IronError {
  if (!isIronError(error, 'E_IO')) return false;
  const { kind, errno } = error.context;
  return kind !== undefined || ['ELOOP', 'ENXIO', 'ENODEV', 'ENOTDIR'].includes(String(errno));
}

/** The bytes of a regular file of at most `cap` bytes. `E_NOT_FOUND`, `E_TOO_LARGE`, `E_IO`. */
export async function readFileCapped(
  path: string,
  cap: number,
  options: ReadOptions = {},
): Promise<Uint8Array> {
  const file = await openRegular(path, options);
  try {
    return await readOpenCapped(file, path, cap);
  } finally {
    await file.close();
  }
}

/** The same of a file that is open already, from where it stands. Does not close it. */
export async function readOpenCapped(
  file: OpenFile,
  path: string,
  cap: number,
): Promise<Uint8Array> {
  return await onPath(path, async () => {
    const { size } = await file.stat();
    if (size > cap) throw tooLarge(path, cap);
    // One byte more than it says, to see the end. Files of /proc and /sys say 0 or 4096.
    let buffer: Uint8Array = new Uint8Array(size + 1);
    let at = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, at, buffer.length - at, null);
      if (bytesRead === 0) break;
      at += bytesRead;
      if (at > cap) throw tooLarge(path, cap);
      if (at === buffer.length) buffer = concatBytes(buffer, new Uint8Array(buffer.length));
    }
    return buffer.subarray(0, at);
  });
}

/** The bytes of a stream (stdin) of at most `cap` bytes. `E_TOO_LARGE`, `E_IO`. */
export async function readStreamCapped(
  stream: Readable,
  cap: number,
  name = 'stdin',
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  return await onPath(name, async () => {
    for await (const part of stream as AsyncIterable<Uint8Array>) {
      length += part.length;
      if (length > cap) throw tooLarge(name, cap);
      parts.push(part);
    }
    return concatBytes(...parts);
  });
}

/** A JSON file through the strict reader. */
export async function readJsonFile(
  path: string,
  cap: number,
  options: ReadOptions = {},
): Promise<JsonValue> {
  return parseJsonOf(path, await readFileCapped(path, cap, options), cap);
}

/** The same of bytes that were read from `path`, which a refusal names. */
export function parseJsonOf(path: string, bytes: Uint8Array, cap: number): JsonValue {
  try {
    return parseJson(bytes, { length: cap });
  } catch (error) {
    if (!(error instanceof IronError)) throw error;
    throw new IronError(error.code, `${path}: ${error.message}`, {
      cause: error,
      context: { ...error.context, path },
    });
  }
}

/** `E_TOO_LARGE` about `path`. */
export function tooLarge(path: string, cap: number): IronError {
  return new IronError('E_TOO_LARGE', `${path} has more than ${cap} bytes`, {
    context: { path, limit: cap },
  });
}
