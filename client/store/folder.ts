/**
 * The store of a host: a folder for each repository.
 *
 * Every file is replaced in one durable step, so a crash leaves the old or the new. Stored
 * metadata is a cache and as untrusted as any: what cannot be read counts as absent and is fetched
 * again. The pinned root and the floors are not a cache: when they are damaged, that is said and
 * nothing is guessed.
 */

import { createHash } from 'node:crypto';
import { readdir, rm, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { store as layout } from '../../shared/layout.ts';
import {
  METADATA_LIMITS,
  REVOCATION_LIMITS,
  type SizeLimits,
  STORE_LIMITS,
} from '../../shared/limits.ts';
import { onPath, systemFiles, type WithFiles } from '../../shared/node/file-system.ts';
import {
  isOtherKind,
  readFileCapped,
  syncFolder,
  writeFileAtomic,
  writeFileExclusive,
} from '../../shared/node/files.ts';
import { ensurePrivateFolder } from '../../shared/node/folders.ts';
import { withLock } from '../../shared/node/lock.ts';
import type { Instant } from '../../shared/time.ts';
import { decodeRoleName } from '../../shared/tuf/names.ts';
import { parseRoot } from '../../shared/tuf/root.ts';
import { type Floors, formatFloors, NO_FLOORS, parseFloors } from '../../shared/verify/floors.ts';
import { TrustedMetadata } from '../../shared/verify/trusted.ts';
import { ensureCacheFolder, writeCached } from './places.ts';
import type { Store } from './store.ts';
import { sweepTemporaries } from './sweep.ts';

export interface FolderStoreOptions extends WithFiles {
  /** For repositories larger than usual; the updater needs the same. */
  readonly limits?: SizeLimits;
  /** Told when a stored file cannot even be read and counts as absent. */
  readonly onUnreadable?: (path: string, error: IronError) => void;
}

/** How long another process may hold the store, in milliseconds: a slow mirror, a slow refresh. */
const WAIT_MS = STORE_LIMITS.waitSeconds * 1000;

export class FolderStore implements Store {
  readonly folder: string;
  readonly #options: FolderStoreOptions;
  /** Whether this process removed what crashed ones left; it does so once. */
  #swept = false;
  /** Folders that were found to be ours since the lock was taken. */
  readonly #ours = new Set<string>();
  /** Files that could not be read, by their path below the folder, until they are replaced. */
  readonly #unreadable = new Map<string, IronError>();

  constructor(folder: string, options: FolderStoreOptions = {}) {
    this.folder = folder;
    this.#options = options;
  }

  async pinnedRoot(): Promise<Uint8Array> {
    const bytes = await this.#readTrust(layout.pinnedRoot, METADATA_LIMITS.root);
    if (bytes === undefined) throw noPin(this.folder);
    try {
      parseRoot(bytes);
    } catch (cause) {
      throw damaged(this.#at(layout.pinnedRoot), cause);
    }
    return bytes;
  }

  /**
   * Pins `bytes` as the root that everything begins with. Once: the same root again is `'same'`,
   * another one `E_PIN_EXISTS`. The root must be signed by a threshold of its own keys; that these
   * are the right keys is what the caller vouches for.
   */
  async pinRoot(bytes: Uint8Array, crypto: Crypto): Promise<'written' | 'same'> {
    const { root } = new TrustedMetadata({ crypto, now: 0, root: bytes });
    return this.exclusively(async () => {
      // Floors first: from the pin on, their absence is damage.
      if ((await this.#readTrust(layout.floors, STORE_LIMITS.floors)) === undefined) {
        await this.writeFloors({ ...NO_FLOORS, root: root.version, time: 0 });
      }
      try {
        return await writeFileExclusive(this.#at(layout.pinnedRoot), bytes, this.#options);
      } catch (error) {
        if (!isIronError(error, 'E_EXISTS')) throw error;
        // What stands there may be no root at all.
        await this.pinnedRoot();
        throw new IronError('E_PIN_EXISTS', 'another root is pinned for this repository already', {
          why: `${this.#at(layout.pinnedRoot)} holds it`,
          hint: 'nothing was changed; new versions of a root come by refresh. If the pinned one was a mistake, move the folder away first',
          context: { folder: this.folder },
        });
      }
    });
  }

  /** Whether a root is pinned here. */
  async isPinned(): Promise<boolean> {
    return (await this.#readTrust(layout.pinnedRoot, METADATA_LIMITS.root)) !== undefined;
  }

  root(version: number): Promise<Uint8Array | undefined> {
    return this.#readCached(layout.rootHistory(version), METADATA_LIMITS.root);
  }

  read(role: string): Promise<Uint8Array | undefined> {
    const { snapshot, targets } = this.#options.limits ?? METADATA_LIMITS;
    const cap =
      role === 'timestamp' ? METADATA_LIMITS.timestamp : role === 'snapshot' ? snapshot : targets;
    return this.#readCached(layout.metadata(role), cap);
  }

  /** Roles of which something is stored, roots apart. */
  async storedRoles(): Promise<string[]> {
    const folder = this.#at(layout.metadataFolder);
    const names = await onPath(folder, () =>
      readdir(folder).catch((error) => {
        if (['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES'].includes(error?.code)) return [];
        throw error;
      }),
    );
    return names
      .filter((name) => name.endsWith('.json'))
      .map((name) => decodeRoleName(name.slice(0, -'.json'.length)))
      .filter((role) => role !== undefined);
  }

  async floors(): Promise<Floors> {
    const path = this.#at(layout.floors);
    const bytes = await this.#readTrust(layout.floors, STORE_LIMITS.floors);
    if (bytes === undefined) {
      throw new IronError('E_STORE', `the version floors of this store are gone: ${path}`, {
        why: 'they are written before a root is pinned, so somebody removed them',
        hint: 'nothing was changed; restore the file, or move the folder away and pin the root again: that forgets which versions were seen',
        context: { path },
      });
    }
    try {
      // A store of before there were time floors begins one.
      return { time: 0, ...parseFloors(bytes) };
    } catch (cause) {
      throw damaged(path, cause);
    }
  }

  readList(): Promise<Uint8Array | undefined> {
    return this.#readCached(layout.revocations, REVOCATION_LIMITS.list);
  }

  async writeList(bytes: Uint8Array): Promise<void> {
    await this.#write('.', layout.revocations, bytes);
  }

  async writeRoot(version: number, bytes: Uint8Array): Promise<void> {
    await this.#write(layout.rootsFolder, layout.rootHistory(version), bytes);
  }

  async write(role: string, bytes: Uint8Array): Promise<void> {
    await this.#write(layout.metadataFolder, layout.metadata(role), bytes);
  }

  async remove(role: string): Promise<void> {
    const path = this.#at(layout.metadata(role));
    const files = this.#options.files ?? systemFiles;
    await onPath(path, async () => {
      await files.unlink(path).catch(async (error) => {
        if (error?.code === 'EISDIR') await rm(path, { recursive: true });
        else if (error?.code !== 'ENOENT') throw error;
      });
      // A file that comes back after a power cut would be verified again; that it is gone is
      // still made durable, because the caller lowers floors on the strength of it.
      await syncFolder(this.#at(layout.metadataFolder), files).catch((error) => {
        if (error?.code !== 'ENOENT') throw error;
      });
    });
  }

  /** When the file of a role was written: since when this machine has it. */
  async storedAt(role: string, version: number): Promise<Instant | undefined> {
    const history = this.#at(layout.rootHistory(version));
    const places =
      role === 'root' ? [history, this.#at(layout.pinnedRoot)] : [this.#at(layout.metadata(role))];
    for (const place of places) {
      const found = await stat(place).catch(() => undefined);
      if (found !== undefined) return Math.floor(found.mtimeMs / 1000);
    }
    return undefined;
  }

  /** Where a target is kept for use without the network; `place` is its path in the tree. */
  targetPath(place: string): string {
    return this.#at(layout.target(nameOf(place)));
  }

  /** Where evidence is kept that a verification read (evidence.ts), likewise. */
  evidencePath(place: string): string {
    return this.#at(layout.evidence(nameOf(place)));
  }

  /** Makes the folder of `targetPath`. */
  async prepareTargets(): Promise<void> {
    await ensureCacheFolder(this.#at(layout.targetsFolder), this.#options);
  }

  async writeFloors(floors: Floors): Promise<void> {
    await writeFileAtomic(this.#at(layout.floors), formatFloors(floors), this.#options);
  }

  targetsNote(): Promise<Uint8Array | undefined> {
    return this.#readCached(layout.targetsNote, STORE_LIMITS.note);
  }

  async writeTargetsNote(note: Uint8Array): Promise<void> {
    await this.#write('.', layout.targetsNote, note);
  }

  async exclusively<T>(act: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await ensurePrivateFolder(this.folder, this.#options);
    const options = { waitMs: WAIT_MS, purpose: 'updating what is trusted' };
    return withLock(
      this.#at(layout.lock),
      async () => {
        this.#ours.clear();
        if (!this.#swept) {
          // Under the lock nobody is writing: what has a temporary name is of a crash.
          for (const folder of ['.', layout.metadataFolder, layout.rootsFolder]) {
            await sweepTemporaries(this.#at(folder), unlink);
          }
          this.#swept = true;
        }
        return act();
      },
      signal === undefined ? options : { ...options, signal },
    );
  }

  async #write(folder: string, path: string, bytes: Uint8Array): Promise<void> {
    const place = this.#at(path);
    if (!this.#ours.has(folder)) {
      // The store itself is its owner's to put right; what lies in it is a cache.
      const ensure = folder === '.' ? ensurePrivateFolder : ensureCacheFolder;
      await ensure(this.#at(folder), this.#options);
      this.#ours.add(folder);
    }
    try {
      await writeCached(place, bytes, this.#options);
      this.#unreadable.delete(path);
    } catch (error) {
      // What failed may be the folder: it is looked at anew.
      this.#ours.delete(folder);
      throw error;
    }
  }

  /** Why the stored file of a role is of no use: what stands there could not be read as a file. */
  unreadable(role: string): IronError | undefined {
    return this.#unreadable.get(layout.metadata(role));
  }

  /** Likewise of the list of revocations. */
  get unreadableList(): IronError | undefined {
    return this.#unreadable.get(layout.revocations);
  }

  /** Likewise of a root that was trusted before. */
  unreadableRoot(version: number): IronError | undefined {
    return this.#unreadable.get(layout.rootHistory(version));
  }

  /** A cached file; one that is no file of a sane size counts as absent, and will be replaced. */
  async #readCached(path: string, cap: number): Promise<Uint8Array | undefined> {
    try {
      const bytes = await this.#readOrNothing(path, cap);
      this.#unreadable.delete(path);
      return bytes;
    } catch (error) {
      if (!isReplaceable(error)) throw error;
      // Once for each time that it is found, however often it is looked for.
      if (this.#unreadable.get(path)?.message !== error.message)
        this.#options.onUnreadable?.(this.#at(path), error);
      this.#unreadable.set(path, error);
      return undefined;
    }
  }

  /** A file that nothing can replace: something else in its place is damage, and nothing is followed. */
  async #readTrust(path: string, cap: number): Promise<Uint8Array | undefined> {
    try {
      return await this.#readOrNothing(path, cap);
    } catch (error) {
      if (!isOtherKind(error) && !isIronError(error, 'E_TOO_LARGE')) throw error;
      throw damaged(this.#at(path), error);
    }
  }

  async #readOrNothing(path: string, cap: number): Promise<Uint8Array | undefined> {
    const place = this.#at(path);
    try {
      return await onPath(place, () =>
        readFileCapped(place, cap, { ...this.#options, nofollow: true }),
      );
    } catch (error) {
      if (isIronError(error, 'E_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  #at(path: string): string {
    return join(this.folder, path);
  }
}

/**
 * Whether writing the file anew heals what reading it met: too large, something that is no file, or a
 * file that we may not read in a folder that is ours. A failing disk is not healed so.
 */
function isReplaceable(error: unknown): error is IronError {
  if (isIronError(error, 'E_TOO_LARGE') || isOtherKind(error)) return true;
  return isIronError(error, 'E_IO') && ['EACCES', 'EPERM'].includes(String(error.context.errno));
}

/** A place is a name from outside, and longer than some file systems take. */
function nameOf(place: string): string {
  return createHash('sha256').update(place).digest('hex');
}

function noPin(folder: string): IronError {
  return new IronError('E_NO_PIN', 'no root is pinned for this repository', {
    why: `${join(folder, layout.pinnedRoot)} does not exist, and nothing is trusted on first use`,
    hint: 'get root.json from somebody you trust, not from the repository, and run this again with --root FILE, or `ironport-client ADDRESS init --root FILE`',
    context: { folder },
  });
}

function whyOf(cause: unknown): string {
  if (isOtherKind(cause) && cause.why !== undefined) return cause.why;
  return cause instanceof Error ? cause.message : String(cause);
}

function damaged(path: string, cause: unknown): IronError {
  return new IronError('E_STORE', `the local store is damaged: ${path}`, {
    why: whyOf(cause),
    hint: 'nothing was changed; restore the file, or move the folder away and pin the root again: that forgets which versions were seen',
    cause,
    context: { path },
  });
}
