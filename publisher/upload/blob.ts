/**
 * One blob, by its digest: sent once, from where it broke off, as often as it takes (tus 1.0.0).
 * Nothing is kept here about it: the service is asked by the digest, also by the next run.
 */

import { open } from 'node:fs/promises';
import {
  formatUploadMetadata,
  TUS_RESUMABLE,
  TUS_VERSION,
  UPLOAD_METADATA,
} from '../../shared/api/tus.ts';
import { UPLOAD_LENGTH, UPLOAD_OFFSET, UPLOAD_TYPE } from '../../shared/api/upload.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { PUBLISHER_LIMITS } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { isWorthRetrying, pause } from './again.ts';
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
 * Makes sure that the service has the blob. What it has already is not sent again, but for once
 * when that turns out to be damaged. `E_HASH` when the file is not the one that was measured; else
 * what the service says, or `E_NETWORK` after so many attempts without a byte of progress.
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
  /** Where the last request went on, and whether it all was sent anew because of what was there. */
  let from = 0;
  let isAnew = false;
  const reached = (offset: number): void => {
    if (offset <= known) return;
    onBytes(offset - known);
    known = offset;
  };
  for (;;) {
    try {
      const there = (await offsetOf(api, blob)) ?? (await create(api, blob));
      reached(there);
      if (there === blob.length) return;
      from = there;
      await send(api, blob, there);
      reached(blob.length);
      return;
    } catch (error) {
      // A power cut may have damaged what was there. Now it is gone, and all of it is sent, once.
      if (isIronError(error, 'E_HASH') && from > 0 && !isAnew) {
        isAnew = true;
        continue;
      }
      // A service that takes a byte at a time, or none and says that it did, is one that is stuck.
      if (known - counted >= PUBLISHER_LIMITS.progress) [attempts, counted] = [0, known];
      attempts += 1;
      if (!isWorthRetrying(error) || attempts >= PUBLISHER_LIMITS.attempts) throw error;
      await pause(api, attempts, error);
    }
  }
}

const TUS = { [TUS_RESUMABLE]: TUS_VERSION };

/** How much of the blob the service has; undefined when it knows nothing of it. */
async function offsetOf(api: Api, blob: Blob): Promise<number | undefined> {
  const reply = await api.send({ method: 'HEAD', path: `blobs/${blob.sha256}`, headers: TUS });
  await reply.drop();
  if (reply.status === 404) return undefined;
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
  // Nothing but the rate of requests is ever said about a question.
  const code = status === 429 || status === 503 ? 'E_TRY_AGAIN' : 'E_NETWORK';
  return new IronError(code, `the service answered ${status}`, { context: { status } });
}

/** Makes room for the blob; how much of it is there. */
async function create(api: Api, { length, sha256 }: Blob): Promise<number> {
  const reply = await api.send({
    method: 'POST',
    path: 'blobs',
    headers: {
      ...TUS,
      [UPLOAD_LENGTH]: String(length),
      [UPLOAD_METADATA]: formatUploadMetadata(sha256),
    },
  });
  if (reply.status !== 201) throw await api.failure(reply);
  await reply.drop();
  return readOffset(reply.header(UPLOAD_OFFSET));
}

/** Sends the rest, all of it. */
async function send(api: Api, blob: Blob, offset: number): Promise<void> {
  const left = blob.length - offset;
  const reply = await api.send({
    method: 'PATCH',
    path: `blobs/${blob.sha256}`,
    headers: {
      ...TUS,
      [UPLOAD_OFFSET]: String(offset),
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
