/** What the vendor's own client trusts of the repository, under the vendor's folder. */

import { join } from 'node:path';
import type { UpdaterOptions } from '../../client/updater.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { vendorFolder } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { onPath, systemFiles } from '../../shared/node/file-system.ts';
import { readFileCapped, writeFileAtomic, writeFileExclusive } from '../../shared/node/files.ts';
import { ensurePrivateFolder } from '../../shared/node/folders.ts';
import { parseRoot } from '../../shared/tuf/root.ts';
import { type Floors, formatFloors, NO_FLOORS, parseFloors } from '../../shared/verify/floors.ts';
import { TrustedMetadata } from '../../shared/verify/trusted.ts';

export type Store = UpdaterOptions['store'];

const FLOORS_LIMIT = 8 * 1024 * 1024;

/** Files below the vendor's folder; whoever uses it holds the folder's lock. */
export class TrustStore implements Store {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Makes the folders, private to this user. */
  async prepare(): Promise<void> {
    for (const folder of ['', ...vendorFolder.folders])
      await ensurePrivateFolder(join(this.#dir, folder));
  }

  /**
   * Pins `bytes` as the root that every chain begins with. The same root again is fine; another
   * one is `E_PIN_EXISTS`. `E_THRESHOLD` on a file that its own keys did not sign.
   */
  async pin(crypto: Crypto, bytes: Uint8Array): Promise<'pinned' | 'same'> {
    const root = parseRoot(bytes);
    // Its constructor checks that the root signed itself; time plays no part in that.
    new TrustedMetadata({ crypto, now: 0, root: bytes });
    try {
      const result = await writeFileExclusive(this.#path(vendorFolder.pinnedRoot), bytes);
      return result === 'same' ? 'same' : 'pinned';
    } catch (error) {
      if (!isIronError(error, 'E_EXISTS')) throw error;
      const pinned = parseRoot(await this.pinnedRoot());
      throw new IronError('E_PIN_EXISTS', 'another root is pinned for this vendor already', {
        why: `root ${pinned.version} is pinned, root ${root.version} was given`,
        hint: 'nothing was changed; leave --root out: newer roots are found from the pinned one',
        cause: error,
      });
    }
  }

  async pinnedRoot(): Promise<Uint8Array> {
    const bytes = await this.#read(vendorFolder.pinnedRoot, METADATA_LIMITS.root);
    if (bytes !== undefined) return bytes;
    throw new IronError('E_NO_PIN', 'no root is pinned for this vendor', {
      why: 'nothing is trusted on first use: the operators give the root when they admit a vendor',
      hint: 'nothing was sent; give it once with --root FILE',
    });
  }

  root(version: number): Promise<Uint8Array | undefined> {
    return this.#read(vendorFolder.rootHistory(version), METADATA_LIMITS.root);
  }

  read(role: string): Promise<Uint8Array | undefined> {
    return this.#read(vendorFolder.metadata(role), METADATA_LIMITS.targets);
  }

  async floors(): Promise<Floors> {
    const bytes = await this.#read(vendorFolder.floors, FLOORS_LIMIT);
    return bytes === undefined ? NO_FLOORS : parseFloors(bytes);
  }

  writeRoot(version: number, bytes: Uint8Array): Promise<void> {
    return writeFileAtomic(this.#path(vendorFolder.rootHistory(version)), bytes);
  }

  write(role: string, bytes: Uint8Array): Promise<void> {
    return writeFileAtomic(this.#path(vendorFolder.metadata(role)), bytes);
  }

  async remove(role: string): Promise<void> {
    const path = this.#path(vendorFolder.metadata(role));
    await onPath(path, () => systemFiles.unlink(path), 'E_NOT_FOUND').catch((error) => {
      if (!isIronError(error, 'E_NOT_FOUND')) throw error;
    });
  }

  writeFloors(floors: Floors): Promise<void> {
    return writeFileAtomic(this.#path(vendorFolder.floors), formatFloors(floors));
  }

  #path(relative: string): string {
    return join(this.#dir, relative);
  }

  async #read(relative: string, cap: number): Promise<Uint8Array | undefined> {
    try {
      return await readFileCapped(this.#path(relative), cap);
    } catch (error) {
      if (isIronError(error, 'E_NOT_FOUND')) return undefined;
      throw error;
    }
  }
}
