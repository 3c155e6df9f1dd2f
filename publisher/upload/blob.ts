/** One blob, by its digest: sent once, from where it broke off, as often as it takes. */

import { open } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { UPLOAD_LENGTH, UPLOAD_OFFSET, UPLOAD_TYPE } from '../../shared/api/upload.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { PUBLISHER_LIMITS } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';
import type { Api } from './api.ts';

/** The bytes, and what they must be. A file is read again for each attempt. */
export interface Blob {
  readonly source: { readonly file: string } | { readonly bytes: Uint8Array };
  readonly length: number;
  readonly sha256: string;
}

/**
 * Two buffers take turns, so that memory stays constant: a piece is more than a socket buffers, so
 * the next one is asked for only when it has gone out, and is read into the other buffer besides.
 */
const PIECE = 512 * 1024;

/**
 * Makes sure that the service has the blob. What it has already is not sent again. `E_HASH` when
 * the file is not the one that was measured; else what the service says, or `E_NETWORK` after so
 * many attempts without a byte of progress.
 */
export async function uploadBlob(
  api: Api,
  blob: Blob,
  onBytes: (count: number) => void = () => {},
): Promise<void> {
  let known = 0;
  let attempts = 0;
  /** Where the attempts that are counted began. */
  let counted = 0;
  const reached = (offset: number): void => {
    if (offset <= known) return;
    onBytes(offset - known);
    known = offset;
  };
  for (;;) {
    try {
      const there = await offsetOf(api, blob);
      reached(there);
      if (there === blob.length && there > 0) return;
      // An empty blob is complete only after it was sent.
      await send(api, blob, there);
      reached(blob.length);
      return;
    } catch (error) {
      // A service that takes a byte at a time, or none and says that it did, is one that is stuck.
      if (known - counted >= PUBLISHER_LIMITS.progress) [attempts, counted] = [0, known];
      attempts += 1;
      if (!isWorthRetrying(error) || attempts >= PUBLISHER_LIMITS.attempts) throw error;
      await setTimeout(250 * 2 ** attempts, undefined, abortable(api));
    }
  }
}

function abortable(api: Api): { signal?: AbortSignal } {
  return api.signal === undefined ? {} : { signal: api.signal };
}

function isWorthRetrying(error: unknown): boolean {
  // E_CONFLICT: somebody, perhaps our own earlier attempt, moved the offset.
  return isIronError(error, 'E_NETWORK', 'E_SLOW', 'E_TRY_AGAIN', 'E_CONFLICT', 'E_LOCKED');
}

/** How much of the blob the service has. */
async function offsetOf(api: Api, blob: Blob): Promise<number> {
  const reply = await api.send({ method: 'HEAD', path: `blobs/${blob.sha256}` });
  await reply.drop();
  if (reply.status === 404) return 0;
  if (reply.status !== 200) throw headFailure(reply.status);
  const offset = readOffset(reply.header(UPLOAD_OFFSET));
  if (readOffset(reply.header(UPLOAD_LENGTH)) !== blob.length || offset > blob.length)
    throw new IronError(
      'E_CONFLICT',
      'the service holds a blob of this digest with another length',
    );
  return offset;
}

/** A HEAD has no body that could say more. */
function headFailure(status: number): IronError {
  if (status === 401) {
    return new IronError('E_UNAUTHENTICATED', 'the service does not take our signature', {
      why: 'the API key is not one that the signed targets list, the clocks differ, or the service is known under another name',
      hint: 'nothing was sent; check the clock, the address, and whether the operators admitted this vendor',
      context: { status },
    });
  }
  const code = status === 429 ? 'E_QUOTA' : status === 503 ? 'E_TRY_AGAIN' : 'E_NETWORK';
  return new IronError(code, `the service answered ${status}`, { context: { status } });
}

/** Sends the rest, all of it. */
async function send(api: Api, blob: Blob, offset: number): Promise<void> {
  const left = blob.length - offset;
  const reply = await api.send({
    method: 'PATCH',
    path: `blobs/${blob.sha256}`,
    headers: {
      [UPLOAD_OFFSET]: String(offset),
      [UPLOAD_LENGTH]: String(blob.length),
      'content-type': UPLOAD_TYPE,
      'content-length': String(left),
    },
    stream: bytesFrom(blob, offset),
  });
  if (reply.status !== 204) throw await api.failure(reply);
  await reply.drop();
  if (readOffset(reply.header(UPLOAD_OFFSET)) !== blob.length)
    throw new IronError('E_NETWORK', 'the service did not take all that was sent');
}

/** Exactly the bytes that were announced: a file that grew meanwhile is not read further. */
async function* bytesFrom({ source, length }: Blob, offset: number): AsyncGenerator<Uint8Array> {
  if ('bytes' in source) {
    if (offset < length) yield source.bytes.subarray(offset);
    return;
  }
  const file = await onPath(source.file, () => open(source.file, 'r'));
  try {
    const buffers = [new Uint8Array(PIECE), new Uint8Array(PIECE)];
    for (let at = offset, turn = 0; at < length; turn = 1 - turn) {
      const buffer = buffers[turn] as Uint8Array;
      const want = Math.min(PIECE, length - at);
      const { bytesRead } = await onPath(source.file, () => file.read(buffer, 0, want, at));
      if (bytesRead === 0) throw changed(source.file);
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

function changed(file: string): IronError {
  return new IronError('E_HASH', `${file} became shorter while it was uploaded`, {
    hint: 'nothing was published; publish a file that nobody writes to',
  });
}

function readOffset(text: string | undefined): number {
  if (text !== undefined && /^\d{1,15}$/.test(text)) return Number(text);
  throw new IronError('E_NETWORK', 'the service did not say how much it has');
}
