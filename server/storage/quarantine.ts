/**
 * Bytes that were sent and not published. Each vendor has a folder of its own, so that a blob of
 * another is neither seen nor used. The names say all: a complete blob is called by its digest, a
 * partial one also by the length that it will have.
 *
 * Only this process writes here (the writer's lock); the folders are ours alone (mode 0700).
 */

import type { Dirent } from 'node:fs';
import { join } from 'node:path';
import { data } from '../../shared/layout.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { syncFolder } from '../../shared/node/files.ts';
import { ensurePrivateFolder } from '../../shared/node/folders.ts';
import { promptFiles } from '../../shared/node/prompt-files.ts';
import type { Instant } from '../../shared/time.ts';
import { RecentBytes } from './recent-bytes.ts';

/** What a vendor has here of one blob. */
export interface HeldBlob {
  /** Bytes that there will be. */
  readonly length: number;
  readonly complete: boolean;
}

export interface QuarantinedFile {
  readonly sha256: string;
  /** Bytes that are there. */
  readonly held: number;
  /** Bytes that there will be; the same for a complete one. */
  readonly length: number;
  readonly complete: boolean;
  readonly path: string;
}

export class Quarantine {
  readonly #home: string;
  /**
   * By vendor and digest, read from the disk at the first question and kept up by whoever writes
   * here: a vendor may have tens of thousands of files, and each upload asks.
   */
  readonly #held = new Map<string, Promise<Map<string, HeldBlob>>>();
  readonly #recent = new RecentBytes();
  /** Vendors whose folder has names that are not durable yet. */
  readonly #unsettled = new Set<string>();
  /** By vendor, the wait for the disk that is under way. Owned by `settle`. */
  readonly #settling = new Map<string, Promise<void>>();

  /** @param home the service's folder */
  constructor(home: string) {
    this.#home = home;
  }

  path(vendor: string, sha256: string): string {
    return join(this.#home, data.blob(vendor, sha256));
  }

  partialPath(vendor: string, sha256: string, length: number): string {
    return join(this.#home, data.partialBlob(vendor, sha256, length));
  }

  folder(vendor: string): string {
    return join(this.#home, data.quarantine, vendor);
  }

  /** What this vendor has here, by digest. Only `note` and `remove` change it. */
  held(vendor: string): Promise<ReadonlyMap<string, HeldBlob>> {
    return this.#heldBy(vendor);
  }

  /** Notes a blob that was begun or is complete now. */
  async note(vendor: string, sha256: string, blob: HeldBlob | undefined): Promise<void> {
    const held = await this.#heldBy(vendor);
    if (blob === undefined) this.#recent.forget(`${vendor} ${sha256}`);
    if (blob === undefined) held.delete(sha256);
    else held.set(sha256, blob);
  }

  #heldBy(vendor: string): Promise<Map<string, HeldBlob>> {
    let held = this.#held.get(vendor);
    if (held === undefined) {
      held = this.list(vendor).then((files) => {
        // Whoever gave these names may have been killed before they were durable.
        if (files.some(({ complete }) => complete)) this.#unsettled.add(vendor);
        return new Map(files.map(({ sha256, length, complete }) => [sha256, { length, complete }]));
      });
      this.#held.set(vendor, held);
      held.catch(() => this.#held.delete(vendor));
    }
    return held;
  }

  async prepare(vendor: string): Promise<void> {
    await ensurePrivateFolder(this.folder(vendor), { files: promptFiles });
  }

  /** The length of a complete blob, or undefined. */
  async length(vendor: string, sha256: string): Promise<number | undefined> {
    const held = (await this.#heldBy(vendor)).get(sha256);
    return held?.complete === true ? held.length : undefined;
  }

  /** The bytes of a small blob that came lately; undefined says nothing. */
  recent(vendor: string, sha256: string): Uint8Array | undefined {
    return this.#recent.get(`${vendor} ${sha256}`);
  }

  /** Keeps measured bytes of a complete blob for whoever judges it soon. */
  keepRecent(vendor: string, sha256: string, bytes: Uint8Array): void {
    this.#recent.keep(`${vendor} ${sha256}`, bytes);
  }

  /** How much is here of a blob that is not complete, and since when; undefined for none. */
  async partial(
    vendor: string,
    sha256: string,
    length: number,
  ): Promise<{ readonly held: number; readonly since: Instant } | undefined> {
    const found = await statFile(this.partialPath(vendor, sha256, length));
    if (found === undefined) return undefined;
    return { held: found.size, since: Math.floor(found.mtimeMs / 1000) };
  }

  /** Forgets what came of a blob that is not complete. */
  async removePartial(vendor: string, sha256: string, length: number): Promise<void> {
    await this.note(vendor, sha256, undefined);
    await promptFiles.unlink(this.partialPath(vendor, sha256, length)).catch(ignoreMissing);
  }

  /** What a vendor has here. */
  async list(vendor: string): Promise<QuarantinedFile[]> {
    const folder = this.folder(vendor);
    const files: QuarantinedFile[] = [];
    for (const entry of await entries(folder)) {
      const match = /^([0-9a-f]{64})(?:\.(\d{1,16})\.part)?$/.exec(entry.name);
      const path = join(folder, entry.name);
      const found = match === null ? undefined : await statFile(path);
      if (match === null || found === undefined) continue;
      const length = match[2] === undefined ? found.size : Number(match[2]);
      const complete = match[2] === undefined;
      files.push({ sha256: match[1] as string, held: found.size, length, complete, path });
    }
    return files;
  }

  /** Says that names of complete blobs were given and are not durable yet. */
  unsettled(vendor: string): void {
    this.#unsettled.add(vendor);
  }

  /**
   * Makes every complete blob of a vendor durable by its name, too: a submission rests on them. Of several
   * that come at once each waits for the disk, and hears when that failed.
   */
  async settle(vendor: string): Promise<void> {
    if (!this.#unsettled.delete(vendor)) return await this.#settling.get(vendor);
    const settling = syncFolder(this.folder(vendor), promptFiles);
    this.#settling.set(vendor, settling);
    try {
      await settling;
    } catch (error) {
      this.#unsettled.add(vendor);
      throw error;
    } finally {
      if (this.#settling.get(vendor) === settling) this.#settling.delete(vendor);
    }
  }

  /** Forgets a blob that is published now, or that nobody asked for any more. */
  async remove(vendor: string, sha256: string): Promise<void> {
    // First that it is here no more: nobody may count on it while it goes.
    await this.note(vendor, sha256, undefined);
    await promptFiles.unlink(this.path(vendor, sha256)).catch(ignoreMissing);
  }

  /**
   * Deletes whatever nothing was added to since `since`, what a crash left of a batch too; returns
   * how many files that were.
   * @param kept by vendor, digests of blobs that somebody is to look at still
   */
  async sweep(
    since: Instant,
    kept: ReadonlyMap<string, ReadonlySet<string>> = new Map(),
  ): Promise<number> {
    let removed = 0;
    for (const folder of await entries(join(this.#home, data.quarantine))) {
      if (!folder.isDirectory()) continue;
      const inside = (await entries(this.folder(folder.name))).map(({ name }) => name);
      for (const name of inside) {
        const path = join(this.folder(folder.name), name);
        const found = await statFile(path);
        if (found === undefined || found.mtimeMs / 1000 >= since) continue;
        if (kept.get(folder.name)?.has(name) === true) continue;
        await promptFiles.unlink(path).catch(ignoreMissing);
        removed += 1;
      }
      this.#held.delete(folder.name);
    }
    return removed;
  }
}

async function statFile(path: string) {
  try {
    const found = await promptFiles.lstat(path);
    return found.isFile() ? found : undefined;
  } catch (error) {
    if (isErrno(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function entries(folder: string): Promise<Dirent[]> {
  try {
    return await promptFiles.list(folder);
  } catch (error) {
    if (isErrno(error) && error.code === 'ENOENT') return [];
    throw error;
  }
}

function ignoreMissing(error: unknown): void {
  if (!isErrno(error) || error.code !== 'ENOENT') throw error;
}
