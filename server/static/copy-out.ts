/** A part of a file, from the disk into a response. */

import type { ServerResponse } from 'node:http';
import { IronError } from '../../shared/errors.ts';
import type { OpenedFile } from './opened.ts';

/** Bytes that are read at once. */
const PIECE = 256 * 1024;

/**
 * Copies a part of a file into the response through two buffers that are used in turn, so that
 * reading goes on while the one before is sent, and a gibibyte makes no more garbage than a page.
 */
export async function copyOut(
  file: OpenedFile,
  start: number,
  end: number,
  response: ServerResponse,
): Promise<void> {
  const size = Math.min(PIECE, end - start + 1);
  let [filling, sending] = [Buffer.allocUnsafe(size), Buffer.allocUnsafe(size)];
  let sent: Promise<void> = Promise.resolve();
  for (let at = start; at <= end; ) {
    const wanted = Math.min(size, end - at + 1);
    const { bytesRead } = await file.read(filling, 0, wanted, at);
    await sent;
    // The length was announced: a file that shrinks under us cannot be sent any more.
    if (bytesRead === 0) throw new IronError('E_IO', 'a file of the tree became shorter');
    sent = written(response, filling.subarray(0, bytesRead));
    sent.catch(() => {});
    [filling, sending] = [sending, filling];
    at += bytesRead;
  }
  await sent;
}

/** Resolves when the bytes were handed to the system, and may be overwritten. */
function written(response: ServerResponse, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(new GoneError());
    if (response.destroyed) {
      gone();
      return;
    }
    response.once('close', gone);
    response.write(bytes, (error) => {
      response.removeListener('close', gone);
      if (error == null) resolve();
      else reject(error);
    });
  });
}

/** The reader closed the connection. */
class GoneError extends Error {}

export function isGone(error: unknown): boolean {
  if (error instanceof GoneError) return true;
  const codes = ['ERR_STREAM_DESTROYED', 'ECONNRESET', 'EPIPE'];
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
