/** Writes what arrives into a file while hashing it: one is done while the other is under way. */

import { createHash, type Hash } from 'node:crypto';
import type { OpenFile } from '../shared/node/file-system.ts';
import { writeAll } from '../shared/node/files.ts';
import type { Hashes } from '../shared/tuf/meta-file.ts';

/** Small pieces cost more in calls than in bytes. */
const BLOCK = 1024 * 1024;
/** So much is given to the disk at a time, so that it does not begin only when all has arrived. */
const SYNC_EVERY = 32 * BLOCK;

export class HashingWriter {
  readonly #file: OpenFile | undefined;
  readonly #hashes: ReadonlyMap<string, Hash>;
  /** One block fills while the other is being written. */
  #filling = new Uint8Array(BLOCK);
  #spare = new Uint8Array(BLOCK);
  #filled = 0;
  #writing: Promise<void> | undefined;
  #syncing: Promise<void> | undefined;
  #unsynced = 0;
  #failure: unknown;
  length = 0;

  /** Computes `algorithms`; without a file it only measures. */
  constructor(algorithms: Iterable<string>, file?: OpenFile) {
    this.#file = file;
    this.#hashes = new Map([...algorithms].map((name) => [name, createHash(name)]));
  }

  /** Counts bytes that the file has already. */
  measure(bytes: Uint8Array): void {
    for (const hash of this.#hashes.values()) hash.update(bytes);
    this.length += bytes.length;
  }

  /** Takes a copy of `piece`: the caller may use its memory again. */
  async write(piece: Uint8Array): Promise<void> {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + BLOCK - this.#filled);
      this.#filling.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === BLOCK) await this.#flush();
    }
  }

  /** Hands everything to the system and returns the digests. Neither syncs nor closes. */
  async finish(): Promise<Hashes> {
    await this.#flush();
    await this.#writing;
    await this.#syncing;
    if (this.#failure !== undefined) throw this.#failure;
    return new Map([...this.#hashes].map(([name, hash]) => [name, hash.digest('hex')]));
  }

  /** Waits for what is under way, whatever became of it: the file may be closed then. */
  async settle(): Promise<void> {
    await this.#writing?.catch(() => {});
    await this.#syncing;
  }

  async #flush(): Promise<void> {
    const block = this.#filling.subarray(0, this.#filled);
    await this.#writing;
    if (this.#file !== undefined && block.length > 0) {
      this.#writing = writeAll(this.#file, block);
      // It is awaited before the block is filled again; until then nobody listens.
      this.#writing.catch(() => {});
      this.#unsynced += block.length;
      if (this.#unsynced >= SYNC_EVERY && this.#syncing === undefined) this.#startSync(this.#file);
    }
    this.measure(block);
    [this.#filling, this.#spare] = [this.#spare, this.#filling];
    this.#filled = 0;
  }

  /** The system reports a failure once a descriptor: it is kept, or the last sync would succeed. */
  #startSync(file: OpenFile): void {
    this.#unsynced = 0;
    this.#syncing = file
      .sync()
      .catch((error) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#syncing = undefined;
      });
  }
}
