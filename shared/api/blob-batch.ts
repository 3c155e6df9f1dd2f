/**
 * Many small blobs in one body: of each the SHA-256 (32 bytes), the length (4 bytes, the highest
 * first), then the bytes. One request, one signature over all of it, one sync to the disk.
 */

import { fromHex, toHex } from '../bytes.ts';
import { IronError } from '../errors.ts';
import { SERVER_LIMITS } from '../limits.ts';

/** The type of a body of blobs. */
export const BATCH_TYPE = 'application/vnd.ironport.blobs';

const DIGEST = 32;
const HEAD = DIGEST + 4;

export interface BatchBlob {
  /** What the bytes are claimed to be. */
  readonly sha256: string;
  readonly bytes: Uint8Array;
}

/** What one blob adds to a body. */
export function batchLength(length: number): number {
  return HEAD + length;
}

/** The body, in `room` where that is given: whoever sends many does not ask for megabytes each time. */
export function formatBatch(blobs: readonly BatchBlob[], room?: Uint8Array): Uint8Array {
  const length = blobs.reduce((sum, { bytes }) => sum + batchLength(bytes.length), 0);
  const body = (room ?? new Uint8Array(length)).subarray(0, length);
  const view = new DataView(body.buffer, body.byteOffset, length);
  let at = 0;
  for (const { sha256, bytes } of blobs) {
    body.set(fromHex(sha256), at);
    view.setUint32(at + DIGEST, bytes.length);
    body.set(bytes, at + HEAD);
    at += batchLength(bytes.length);
  }
  return body;
}

/** The blobs of a body, unmeasured. `E_SCHEMA` when it ends too early or names a blob twice. */
export function parseBatch(body: Uint8Array): BatchBlob[] {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const blobs = new Map<string, BatchBlob>();
  for (let at = 0; at < body.length; ) {
    if (body.length - at < HEAD) throw malformed('it ends inside the head of a blob');
    const sha256 = toHex(body.subarray(at, at + DIGEST));
    const length = view.getUint32(at + DIGEST);
    at += HEAD;
    if (length > body.length - at) throw malformed('it ends inside a blob');
    if (blobs.has(sha256)) throw malformed(`the blob ${sha256} stands in it twice`);
    if (blobs.size >= SERVER_LIMITS.batch)
      throw malformed(`it has more than ${SERVER_LIMITS.batch} blobs`);
    blobs.set(sha256, { sha256, bytes: body.subarray(at, at + length) });
    at += length;
  }
  if (blobs.size === 0) throw malformed('there is no blob in it');
  return [...blobs.values()];
}

function malformed(why: string): IronError {
  return new IronError('E_SCHEMA', 'the body is no batch of blobs', {
    why,
    hint: 'nothing was changed; compare the body with version 1 of the upload API',
  });
}
