/**
 * Small targets that a verification read (evidence, indexes of products), kept after their digests
 * were verified, so that the same verdict can be reached without the network. A cache: each file is
 * verified again whenever it is read, and the least recently used go first (ADR 0068).
 */

import { readdir, stat, unlink, utimes } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { equalBytes } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { STORE_LIMITS } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import type { OpenedFile } from '../fetch/fetcher.ts';
import type { Source } from '../fetch/source.ts';
import type { FolderStore } from './folder.ts';
import { ensureCacheFolder, writeCached } from './places.ts';

/** A source whose small targets are kept in a store as they are verified. */
export class KeepingSource implements Source {
  readonly origin: string;
  readonly openFile: Source['openFile'];
  readonly #store: FolderStore;
  readonly #onNotice: ((text: string) => void) | undefined;

  constructor(source: Source, store: FolderStore, onNotice?: (text: string) => void) {
    this.origin = source.origin;
    this.openFile = (...request): Promise<OpenedFile> => source.openFile(...request);
    this.#store = store;
    this.#onNotice = onNotice;
  }

  /** What cannot be kept is said, and is no reason to fail: it was verified, and is in memory. */
  async keep(place: string, bytes: Uint8Array): Promise<void> {
    try {
      await this.write(this.#store.evidencePath(place), bytes);
    } catch (error) {
      if (!isIronError(error, 'E_IO', 'E_NO_SPACE')) throw error;
      this.#onNotice?.(`${place} is not kept for use without the network: ${error.message}`);
    }
  }

  protected write(path: string, bytes: Uint8Array): Promise<void> {
    return keepEvidence(path, bytes);
  }
}

/** The same for a verification: nothing is kept of what is refused in the end. */
export class HoldingSource extends KeepingSource {
  /** Verified, and not kept yet; owned by the one verification that reads through this. */
  readonly #held = new Map<string, Uint8Array>();

  override async keep(place: string, bytes: Uint8Array): Promise<void> {
    this.#held.set(place, bytes);
  }

  /** Keeps what was read, once the artifact that it is about is believed. */
  async release(): Promise<void> {
    for (const [place, bytes] of this.#held) await super.keep(place, bytes);
    this.#held.clear();
  }
}

/**
 * The same for who reads the indexes of all products, of which there may be more than are kept. It takes
 * what room is left and removes nothing: one vendor with many products drives out no other's evidence.
 * What it keeps counts as used at no time, and goes first.
 */
export class ListingSource extends KeepingSource {
  #room: Room | undefined;

  protected override async write(path: string, bytes: Uint8Array): Promise<void> {
    if (await isThere(path, bytes)) return;
    const folder = dirname(path);
    await ensureCacheFolder(folder);
    this.#room ??= roomIn(await filesIn(folder));
    const left = { files: this.#room.files - 1, bytes: this.#room.bytes - bytes.length };
    if (left.files < 0 || left.bytes < 0) return;
    await writeCached(path, bytes);
    await onPath(path, () => utimes(path, 0, 0));
    this.#room = left;
  }
}

async function keepEvidence(path: string, bytes: Uint8Array): Promise<void> {
  const folder = dirname(path);
  if (await isThere(path, bytes)) {
    const now = new Date();
    // When it was last used; that this did not work is found out at the next pruning, if at all.
    await utimes(path, now, now).catch(() => {});
    return;
  }
  await ensureCacheFolder(folder);
  await writeCached(path, bytes);
  await prune(folder, basename(path));
}

async function isThere(path: string, bytes: Uint8Array): Promise<boolean> {
  try {
    return equalBytes(await readFileCapped(path, bytes.length, { nofollow: true }), bytes);
  } catch (error) {
    // What is not there, or is something else, is written anew.
    if (isIronError(error)) return false;
    throw error;
  }
}

interface Kept {
  readonly path: string;
  readonly size: number;
  readonly used: number;
}

interface Room {
  readonly files: number;
  readonly bytes: number;
}

async function filesIn(folder: string): Promise<Kept[]> {
  const found: Kept[] = [];
  for (const name of await onPath(folder, () => readdir(folder))) {
    const path = join(folder, name);
    const file = await stat(path).catch(() => undefined);
    if (file?.isFile() === true) found.push({ path, size: file.size, used: file.mtimeMs });
  }
  return found;
}

function roomIn(found: readonly Kept[]): Room {
  const size = found.reduce((sum, one) => sum + one.size, 0);
  return {
    files: STORE_LIMITS.evidenceFiles - found.length,
    bytes: STORE_LIMITS.evidenceBytes - size,
  };
}

/** Removes what was used least recently, beyond the limits; never `kept`. Best effort: others may prune too. */
async function prune(folder: string, kept: string): Promise<void> {
  const found = (await filesIn(folder)).filter(({ path }) => basename(path) !== kept);
  let [files, bytes] = [1, 0];
  for (const { path, size } of found.sort((a, b) => b.used - a.used)) {
    files++;
    bytes += size;
    if (files > STORE_LIMITS.evidenceFiles || bytes > STORE_LIMITS.evidenceBytes)
      await unlink(path).catch(() => {});
  }
}
