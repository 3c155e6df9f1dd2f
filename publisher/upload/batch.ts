/** Many small blobs: sent together, as few requests as their bytes allow. */

import {
  BATCH_TYPE,
  type BatchBlob,
  batchLength,
  formatBatch,
} from '../../shared/api/blob-batch.ts';
import { batchReply, parseBody } from '../../shared/api/upload.ts';
import { IronError } from '../../shared/errors.ts';
import { PUBLISHER_LIMITS, SERVER_LIMITS } from '../../shared/limits.ts';
import { isWorthRetrying, pause } from './again.ts';
import type { Api } from './api.ts';

/** What is larger goes by itself, and can be resumed. */
export const SMALL = 1024 * 1024;

/** Batches that are under way at once: the service writes one while the next one comes. */
const UNDER_WAY = 2;

/** Sends blobs as they come, in batches; what the service has already it does not write again. */
export class BatchSender {
  readonly #api: Api;
  #blobs = new Map<string, BatchBlob>();
  #length = 0;
  readonly #underWay = new Set<Promise<void>>();
  /** Rooms for bodies that no request uses: to be given new megabytes for each costs more than to hash them. */
  readonly #rooms: Uint8Array[] = [];
  /** What one of them failed with, for whoever comes next. */
  #failure: { readonly error: unknown } | undefined;

  constructor(api: Api) {
    this.#api = api;
  }

  /** Takes a small blob; sends what was taken before when there is no room for it. */
  async add(blob: BatchBlob): Promise<void> {
    if (this.#blobs.has(blob.sha256)) return;
    const length = batchLength(blob.bytes.length);
    if (this.#length + length > SERVER_LIMITS.body || this.#blobs.size >= SERVER_LIMITS.batch)
      await this.#begin();
    this.#blobs.set(blob.sha256, blob);
    this.#length += length;
  }

  /** Sends what was taken and not sent yet; returns when the service has all of it. */
  async flush(): Promise<void> {
    if (this.#blobs.size > 0) await this.#begin();
    await Promise.all(this.#underWay);
    this.#demandWhole();
  }

  async #begin(): Promise<void> {
    const blobs = [...this.#blobs.values()];
    this.#blobs = new Map();
    this.#length = 0;
    while (this.#underWay.size >= UNDER_WAY) await Promise.race(this.#underWay);
    this.#demandWhole();
    // What it asks of the system is what is written into it.
    const room = this.#rooms.pop() ?? new Uint8Array(SERVER_LIMITS.body);
    const sending = send(this.#api, blobs.length, formatBatch(blobs, room))
      // One that failed may be read still by what is left of its request.
      .then(() => void this.#rooms.push(room))
      .catch((error) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#underWay.delete(sending));
    this.#underWay.add(sending);
  }

  #demandWhole(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

async function send(api: Api, count: number, body: Uint8Array): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const reply = await api.send({
        method: 'POST',
        path: 'blobs',
        headers: { 'content-type': BATCH_TYPE },
        body,
      });
      if (reply.status !== 200) throw await api.failure(reply);
      const { received } = parseBody(batchReply, await reply.bytes(SERVER_LIMITS.body));
      if (received !== count)
        throw new IronError('E_NETWORK', 'the service did not take all blobs of a batch');
      return;
    } catch (error) {
      if (!isWorthRetrying(error) || attempt >= PUBLISHER_LIMITS.attempts) throw error;
      await pause(api, attempt, error);
    }
  }
}
