/**
 * Takes the bytes of a blob into quarantine, hashing them as they come: memory stays constant, and
 * nothing gets the name of a digest that it does not have. An upload that breaks off stays as far
 * as it came; the next one goes on from there.
 */

import { createHash, type Hash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import type { BatchBlob } from '../../shared/api/blob-batch.ts';
import type { BatchReply } from '../../shared/api/upload.ts';
import { IronError } from '../../shared/errors.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { syncFolder, writeAll } from '../../shared/node/files.ts';
import type { Clock, Instant } from '../../shared/time.ts';
import type { BlobIndex } from '../db/blob-index.ts';
import type { Quarantine } from '../storage/quarantine.ts';
import { demandRoom, writeBatch } from './receive-batch.ts';

/** How much of a blob is there, and how much there will be. */
export interface BlobState {
  readonly offset: number;
  readonly length: number;
  /** When what is there of an unfinished one will be deleted. */
  readonly expires?: Instant;
}

/** One piece of a blob, as its sender announces it. */
export interface Piece {
  readonly vendor: string;
  readonly sha256: string;
  /** Where the bytes begin. */
  readonly offset: number;
  /** Bytes of the whole blob. */
  readonly length: number;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** Running hashes of partial blobs that are kept between requests; the rest is hashed again. */
const KEPT_HASHES = 32;

/** So many bytes at the most wait for the disk while a blob comes. */
const SYNC_EVERY = 64 * 1024 * 1024;

function isSentNow(): IronError {
  return new IronError('E_TRY_AGAIN', 'another request is sending this blob now', {
    hint: 'nothing was changed; wait for it to end',
  });
}

export class Receiver {
  readonly #quarantine: Quarantine;
  readonly #index: BlobIndex;
  readonly #clock: Clock;
  /** Partial files that a request is writing now; owned by that request. */
  readonly #busy = new Set<string>();
  /** By partial file, oldest first; whoever is in `#busy` owns the hash. */
  readonly #hashes = new Map<string, { readonly hash: Hash; readonly offset: number }>();
  /** Ends of the queues in which a vendor's uploads are admitted, one after the other. */
  readonly #admissions = new Map<string, Promise<unknown>>();

  constructor(quarantine: Quarantine, index: BlobIndex, clock: Clock) {
    this.#quarantine = quarantine;
    this.#index = index;
    this.#clock = clock;
  }

  /** What this vendor sent or published of a blob; undefined for nothing. */
  async state(vendor: string, sha256: string): Promise<BlobState | undefined> {
    const complete =
      (await this.#quarantine.length(vendor, sha256)) ?? this.#index.find(vendor, sha256)?.length;
    if (complete !== undefined) return { offset: complete, length: complete };
    const partial = (await this.#quarantine.held(vendor)).get(sha256);
    if (partial === undefined) return undefined;
    const { length } = partial;
    const found = await this.#quarantine.partial(vendor, sha256, length);
    if (found === undefined) return undefined;
    const expires = found.since + SERVER_LIMITS.quarantineSeconds;
    return { offset: found.held, length, expires };
  }

  /**
   * Makes room for a blob of which nothing need be here, durably. One that was begun or is complete
   * stays as it is. `E_CONFLICT` when it was begun with another length, `E_QUOTA`, `E_TOO_LARGE`;
   * `E_HASH` when it is empty and its digest is not that of nothing.
   */
  async create(vendor: string, sha256: string, length: number): Promise<BlobState> {
    const nothing = (async function* () {})();
    // tus, creation: an upload of no bytes is complete with its creation.
    if (length === 0)
      return await this.receive({ vendor, sha256, offset: 0, length, bytes: nothing });
    return await this.#inTurn(vendor, async () => {
      const state = await this.#demandSame(vendor, sha256, length);
      if (state !== undefined) return state;
      await this.#makeRoom(vendor, sha256, length);
      await onPath(this.#quarantine.folder(vendor), () =>
        syncFolder(this.#quarantine.folder(vendor)),
      );
      return { offset: 0, length, expires: this.#clock() + SERVER_LIMITS.quarantineSeconds };
    });
  }

  /**
   * Deletes what came of an unfinished blob. `E_NOT_FOUND`; `E_CONFLICT` when it is complete, for
   * a submission may rest on it; `E_TRY_AGAIN` while somebody sends it.
   */
  async terminate(vendor: string, sha256: string): Promise<void> {
    await this.#inTurn(vendor, async () => {
      const state = await this.state(vendor, sha256);
      if (state === undefined) throw new IronError('E_NOT_FOUND', 'nothing of this blob is here');
      if (state.expires === undefined) {
        throw new IronError('E_CONFLICT', 'this blob is complete', {
          why: 'what was handed in may need it',
          hint: 'nothing was changed; what is never published is deleted by itself',
          context: { offset: state.offset, length: state.length },
        });
      }
      const path = this.#quarantine.partialPath(vendor, sha256, state.length);
      if (this.#busy.has(path)) throw isSentNow();
      this.#hashes.delete(path);
      await this.#quarantine.removePartial(vendor, sha256, state.length);
    });
  }

  /**
   * Appends a piece; returns how much of the blob is there now. `E_CONFLICT` when the piece does
   * not begin where the blob ends, with the offset in its context; `E_HASH` when the blob is
   * complete and is not the one that was named: then all of it is discarded.
   */
  async receive(piece: Piece): Promise<BlobState> {
    const { vendor, sha256, length } = piece;
    const path = this.#quarantine.partialPath(vendor, sha256, length);
    if (this.#busy.has(path)) throw isSentNow();
    this.#busy.add(path);
    try {
      const there = await this.#inTurn(vendor, () => this.#admit(piece));
      if (there !== undefined) return there;
      return await this.#append(piece, path);
    } finally {
      this.#busy.delete(path);
    }
  }

  /** Runs `act` after whatever else of this vendor: two uploads cannot both take the last room. */
  #inTurn<T>(vendor: string, act: () => Promise<T>): Promise<T> {
    const turn = (this.#admissions.get(vendor) ?? Promise.resolve()).then(act, act);
    this.#admissions.set(
      vendor,
      turn.catch(() => {}),
    );
    return turn;
  }

  /** Whether the piece may come. The state of a blob that is complete already, undefined otherwise. */
  async #admit({ vendor, sha256, offset, length }: Piece): Promise<BlobState | undefined> {
    const state = await this.#demandSame(vendor, sha256, length);
    const held = state?.offset ?? 0;
    if (offset !== held) {
      throw new IronError('E_CONFLICT', `the blob goes on at ${held}, not at ${offset}`, {
        hint: 'nothing was changed; send the bytes from there on',
        context: { offset: held, length },
      });
    }
    if (state !== undefined && held === length) return state;
    if (state === undefined) await this.#makeRoom(vendor, sha256, length);
    return undefined;
  }

  /** What is here of a blob that is to have so many bytes. `E_TOO_LARGE`, `E_CONFLICT`. */
  async #demandSame(
    vendor: string,
    sha256: string,
    length: number,
  ): Promise<BlobState | undefined> {
    if (length > SERVER_LIMITS.artifact) {
      throw new IronError('E_TOO_LARGE', `${length} bytes are more than one artifact may have`, {
        hint: 'nothing was changed',
        context: { length, limit: SERVER_LIMITS.artifact },
      });
    }
    const state = await this.state(vendor, sha256);
    if (state !== undefined && state.length !== length) {
      throw new IronError('E_CONFLICT', `this blob was begun with ${state.length} bytes in all`, {
        hint: 'nothing was changed; ask with HEAD what is there, and send the same length',
        context: { offset: state.offset, length: state.length },
      });
    }
    return state;
  }

  /** Within the quota, makes the empty partial file: from here on its length counts. */
  async #makeRoom(vendor: string, sha256: string, length: number): Promise<void> {
    await demandRoom(this.#quarantine, vendor, 1, length);
    await this.#quarantine.prepare(vendor);
    const path = this.#quarantine.partialPath(vendor, sha256, length);
    await onPath(path, async () => {
      const file = await openPartial(path, constants.O_CREAT | constants.O_EXCL);
      // Its age is counted by the clock by which it will be swept away.
      await file.utimes(this.#clock(), this.#clock()).finally(() => file.close());
    });
    await this.#quarantine.note(vendor, sha256, { length, complete: false });
  }

  async #append(piece: Piece, path: string): Promise<BlobState> {
    const { vendor, sha256, offset, length, bytes } = piece;
    const hash = await this.#hashOf(path, offset);
    let at = offset;
    /** A write failed half-way: the hash knows more than the file, or less. */
    let torn = false;
    let durable = offset;
    const file = await onPath(path, () => openPartial(path, constants.O_APPEND));
    try {
      for await (const part of bytes) {
        if (at + part.length > length) {
          throw new IronError('E_LENGTH', `more than the ${length} bytes that were announced`, {
            hint: 'what came before is kept; announce the right length',
          });
        }
        torn = true;
        const writing = onPath(path, () => writeAll(file, part));
        hash.update(part);
        await writing;
        torn = false;
        at += part.length;
        if (at - durable < SYNC_EVERY) continue;
        // So that a power cut takes no more than that.
        await onPath(path, () => file.datasync());
        durable = at;
      }
    } finally {
      // Also when the sender broke off: what came is kept, and what HEAD says of it is durable.
      const now = this.#clock();
      await onPath(path, async () => {
        await file.utimes(now, now);
        await file.sync();
      }).finally(() => file.close());
      if (!torn) this.#keep(path, hash, at);
    }
    if (at < length)
      return { offset: at, length, expires: this.#clock() + SERVER_LIMITS.quarantineSeconds };
    this.#hashes.delete(path);
    const found = hash.digest('hex');
    if (found !== sha256) {
      await onPath(path, () => unlink(path));
      await this.#quarantine.note(vendor, sha256, undefined);
      throw new IronError('E_HASH', 'the blob does not have the digest that it was sent under', {
        why: `expected ${sha256}, received ${found}`,
        hint: 'all of it was discarded; send it again',
        context: { expected: sha256, actual: found },
      });
    }
    await this.#complete(vendor, sha256, path);
    await this.#quarantine.note(vendor, sha256, { length, complete: true });
    return { offset: length, length };
  }

  async #complete(vendor: string, sha256: string, path: string): Promise<void> {
    await onPath(path, async () => {
      const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        // In the tree it will be this same file, read by whoever serves it and changed by nobody.
        await file.chmod(0o444);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(path, this.#quarantine.path(vendor, sha256));
      await syncFolder(this.#quarantine.folder(vendor));
    });
  }

  /** The hash of the first `offset` bytes: kept since the last piece, or computed from the file. */
  async #hashOf(path: string, offset: number): Promise<Hash> {
    const kept = this.#hashes.get(path);
    this.#hashes.delete(path);
    if (kept?.offset === offset) return kept.hash;
    const hash = createHash('sha256');
    if (offset === 0) return hash;
    for await (const part of createReadStream(path, { end: offset - 1 })) hash.update(part);
    return hash;
  }

  /**
   * Takes many small blobs at once. Those that are here already are not written again; nothing of a
   * batch is taken when one of its blobs is not what it is called. `E_HASH`, `E_QUOTA`.
   */
  async receiveBatch(vendor: string, blobs: readonly BatchBlob[]): Promise<BatchReply> {
    for (const { sha256, bytes } of blobs) {
      const found = createHash('sha256').update(bytes).digest('hex');
      if (found !== sha256)
        throw new IronError('E_HASH', 'a blob does not have the digest that it was sent under', {
          why: `expected ${sha256}, received ${found}`,
          hint: 'nothing was changed: no blob of this batch was taken',
          context: { expected: sha256, actual: found },
        });
    }
    return await this.#inTurn(vendor, () =>
      writeBatch(this.#quarantine, this.#index, this.#clock(), vendor, blobs),
    );
  }

  #keep(path: string, hash: Hash, offset: number): void {
    this.#hashes.set(path, { hash, offset });
    const [oldest] = this.#hashes.keys();
    if (this.#hashes.size > KEPT_HASHES && oldest !== undefined) this.#hashes.delete(oldest);
  }
}

async function openPartial(path: string, flags: number): Promise<FileHandle> {
  const { O_WRONLY, O_NOFOLLOW } = constants;
  try {
    return await open(path, O_WRONLY | O_NOFOLLOW | flags, 0o600);
  } catch (error) {
    if (!isErrno(error) || error.code !== 'ENOENT') throw error;
    throw new IronError('E_CONFLICT', 'the blob was swept away meanwhile', {
      hint: 'send it again from its beginning',
      context: { offset: 0 },
      cause: error,
    });
  }
}
