/**
 * Files of lines that only grow. A line is durable before its writer goes on; a crash in the middle
 * of one leaves half a line, about something that had not begun, which the next append cuts off.
 */

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { concatBytes } from '../shared/bytes.ts';
import { IronError } from '../shared/errors.ts';
import { isErrno } from '../shared/node/errno.ts';
import { type OpenFile, onPath } from '../shared/node/file-system.ts';
import { openRegular, syncFolder, writeAll } from '../shared/node/files.ts';
import { pieces } from '../shared/node/hash.ts';

/** Where a file of lines ends. */
export interface Tail {
  /** Its last whole line, without the line feed; undefined when it has none. */
  readonly line: Uint8Array | undefined;
  /** Bytes of all whole lines. */
  readonly bytes: number;
}

const LINE_FEED = 0x0a;
type Open = Pick<OpenFile, 'read'>;

/**
 * Appends the lines that `make` makes of the end that it is shown, in one write. Only the holder of
 * the state's lock appends. `E_IO`, `E_NO_SPACE`, `E_STORE`, and what `make` throws.
 */
export async function appendLines(
  path: string,
  longest: number,
  make: (tail: Tail) => readonly Uint8Array[] | Promise<readonly Uint8Array[]>,
): Promise<void> {
  await onPath(path, async () => {
    const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
    const file = await open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
    try {
      const { size } = await file.stat();
      const tail = await findTail(file, size, path, longest);
      if (tail.bytes < size) await file.truncate(tail.bytes);
      const lines = await make(tail);
      if (lines.length === 0) return;
      const end = Uint8Array.of(LINE_FEED);
      await writeAll(file, concatBytes(...lines.flatMap((line) => [line, end])));
      await file.sync();
      if (size === 0) await syncFolder(dirname(path));
    } finally {
      await file.close();
    }
  });
}

/** The end of the file; that of an empty one when there is none. Changes nothing. */
export async function readTail(path: string, longest: number): Promise<Tail> {
  return await onPath(path, async () => {
    const { O_RDONLY, O_NOFOLLOW } = constants;
    const file = await open(path, O_RDONLY | O_NOFOLLOW).catch((error) => {
      if (isErrno(error) && error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (file === undefined) return { line: undefined, bytes: 0 };
    try {
      return await findTail(file, (await file.stat()).size, path, longest);
    } finally {
      await file.close();
    }
  });
}

async function findTail(file: Open, size: number, path: string, longest: number): Promise<Tail> {
  // Half a line and the whole one before it, at the most.
  const from = Math.max(0, size - 2 * (longest + 1));
  const bytes = await readRange(file, from, size);
  const end = bytes.lastIndexOf(LINE_FEED);
  if (end === -1) {
    if (from > 0) throw new IronError('E_STORE', `${path} has a line that is too long`);
    return { line: undefined, bytes: 0 };
  }
  const before = end === 0 ? -1 : bytes.lastIndexOf(LINE_FEED, end - 1);
  return { line: bytes.subarray(before + 1, end), bytes: from + end + 1 };
}

/** The line whose line feed is the last of the first `bytes` bytes; undefined when there is none. */
export async function lineBefore(
  path: string,
  bytes: number,
  longest: number,
): Promise<Uint8Array | undefined> {
  const file = await openRegular(path, { nofollow: true });
  try {
    const { size } = await file.stat();
    if (bytes > size || bytes < 1) return undefined;
    const found = await readRange(file, Math.max(0, bytes - longest - 2), bytes);
    if (found.at(-1) !== LINE_FEED) return undefined;
    const before = found.length === 1 ? -1 : found.lastIndexOf(LINE_FEED, found.length - 2);
    return found.subarray(before + 1, found.length - 1);
  } finally {
    await file.close();
  }
}

async function readRange(file: Open, from: number, to: number): Promise<Buffer> {
  const bytes = Buffer.alloc(to - from);
  let held = 0;
  while (held < bytes.length) {
    const { bytesRead } = await file.read(bytes, held, bytes.length - held, from + held);
    if (bytesRead === 0) break;
    held += bytesRead;
  }
  return bytes.subarray(0, held);
}

/**
 * The lines of a file, without their line feeds; a half one at the end is left out. `E_NOT_FOUND`,
 * `E_STORE` for a line that is longer than `longest`. Memory does not grow with the file.
 */
export async function* linesOf(path: string, longest: number): AsyncGenerator<Uint8Array> {
  const file = await openRegular(path, { nofollow: true });
  try {
    let rest: Uint8Array = new Uint8Array();
    for await (const piece of pieces(file)) {
      let buffer = concatBytes(rest, piece);
      for (let end = buffer.indexOf(LINE_FEED); end !== -1; end = buffer.indexOf(LINE_FEED)) {
        yield buffer.subarray(0, end);
        buffer = buffer.subarray(end + 1);
      }
      if (buffer.length > longest)
        throw new IronError('E_STORE', `${path} has a line that is too long`);
      rest = buffer;
    }
    // Half a line: of an append that is under way, or that a crash cut short.
  } finally {
    await file.close();
  }
}
