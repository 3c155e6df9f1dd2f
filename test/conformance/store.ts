/**
 * A store as black-box suites look into it: the last trusted file of each role lies unversioned
 * and directly in the folder, and nothing else there ends in `.json`. Pin, floors, the chain of
 * roots and the lock are those of an ordinary store, in a folder of its own below.
 */

import { mkdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { FolderStore } from '../../client/store/folder.ts';
import type { Store } from '../../client/store/store.ts';
import { sweepTemporaries } from '../../client/store/sweep.ts';
import { equalBytes } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { isIronError } from '../../shared/errors.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { readFileCapped, syncFolder, writeFileAtomic } from '../../shared/node/files.ts';
import { encodeRoleName } from '../../shared/tuf/names.ts';
import type { Floors } from '../../shared/verify/floors.ts';

export class FlatStore implements Store {
  /** The part that suites do not look into. */
  readonly state: FolderStore;
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.state = new FolderStore(join(folder, 'state'));
  }

  async init(root: Uint8Array, crypto: Crypto): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    // What was refreshed since is newer than the root that the folder began with.
    if ((await this.state.pinRoot(root, crypto)) === 'written') await this.write('root', root);
  }

  pinnedRoot(): Promise<Uint8Array> {
    return this.state.pinnedRoot();
  }

  root(version: number): Promise<Uint8Array | undefined> {
    return this.state.root(version);
  }

  /** Without the time floor: suites move the clock to and fro. */
  async floors(): Promise<Floors> {
    const { time: _, ...floors } = await this.state.floors();
    return floors;
  }

  writeFloors(floors: Floors): Promise<void> {
    return this.state.writeFloors(floors);
  }

  async read(role: string): Promise<Uint8Array | undefined> {
    const cap = Object.hasOwn(METADATA_LIMITS, role)
      ? METADATA_LIMITS[role as 'root']
      : METADATA_LIMITS.targets;
    try {
      return await readFileCapped(this.#at(role), cap, { nofollow: true });
    } catch (error) {
      // A cache: what is no file of a sane size counts as absent and is replaced.
      if (isIronError(error, 'E_NOT_FOUND', 'E_TOO_LARGE', 'E_IO')) return undefined;
      throw error;
    }
  }

  async write(role: string, bytes: Uint8Array): Promise<void> {
    await writeFileAtomic(this.#at(role), bytes);
  }

  async remove(role: string): Promise<void> {
    const path = this.#at(role);
    await onPath(path, async () => {
      await unlink(path).catch((error) => {
        if (error?.code !== 'ENOENT') throw error;
      });
      await syncFolder(this.#folder);
    });
  }

  async writeRoot(version: number, bytes: Uint8Array): Promise<void> {
    await this.state.writeRoot(version, bytes);
    await this.write('root', bytes);
  }

  /** Shows the newest root, should a crash have come between the two writes of `writeRoot`. */
  async showRoot(newest: Uint8Array): Promise<void> {
    const shown = await this.read('root');
    if (shown !== undefined && equalBytes(shown, newest)) return;
    await this.exclusively(() => this.write('root', newest));
  }

  exclusively<T>(act: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.state.exclusively(async () => {
      await sweepTemporaries(this.#folder, unlink);
      return act();
    }, signal);
  }

  #at(role: string): string {
    return join(this.#folder, `${encodeRoleName(role)}.json`);
  }
}
