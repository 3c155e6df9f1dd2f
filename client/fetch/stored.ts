/**
 * What a store holds, served as if it were a repository: the whole workflow runs over it again,
 * offline, with every check. It has no newer root, and of targets those that bundles brought and the
 * evidence that was kept.
 */

import { IronError, isIronError } from '../../shared/errors.ts';
import { parseMetadataPath } from '../../shared/layout.ts';
import { isOtherKind } from '../../shared/node/files.ts';
import type { FolderStore } from '../store/folder.ts';
import type { Fetcher, FetchOptions, OpenedFile } from './fetcher.ts';
import { openLocal } from './local.ts';

export class StoredFetcher implements Fetcher {
  readonly origin = 'what this machine has stored';
  readonly isOffline = true;
  readonly #store: FolderStore;

  constructor(store: FolderStore) {
    this.#store = store;
  }

  async fetchFile(path: string, maxLength: number): Promise<Uint8Array | undefined> {
    const { role, version } = parseMetadataPath(path) ?? {};
    if (role === 'root') return this.#demandNoneMissing(version ?? 0);
    if (role === undefined) {
      // A list that is here and cannot be read is not one that the repository does not have.
      const unreadable = this.#store.unreadableList;
      if (unreadable !== undefined) throw ofNoUse('the stored list of revocations', unreadable);
      return undefined;
    }
    const bytes = await this.#store.read(role);
    if (bytes === undefined) {
      const unreadable = this.#store.unreadable(role);
      if (unreadable !== undefined) throw ofNoUse(`the stored ${role}`, unreadable);
      throw new IronError('E_NOT_FOUND', `nothing is stored for the role ${JSON.stringify(role)}`, {
        why: 'without the network only what was fetched before can be used',
        hint: 'nothing was changed; run `ironport-client ADDRESS refresh` while the repository can be reached, or `bundle import` what somebody brings',
        context: { role },
      });
    }
    return bytes.length > maxLength ? undefined : bytes;
  }

  /**
   * Roots are replayed by the workflow itself, and a newer one than the stored is not known here. One
   * that was trusted before and is asked for is gone from this machine: no repository is cutting the
   * chain short.
   */
  async #demandNoneMissing(version: number): Promise<undefined> {
    if (version > (await this.#store.floors()).root) return undefined;
    const unreadable = this.#store.unreadableRoot(version);
    if (unreadable !== undefined) throw ofNoUse(`the stored root ${version}`, unreadable);
    throw new IronError('E_STORE', `root ${version} was trusted here, and is gone from the store`, {
      why: 'without it what later roots signed cannot be verified',
      hint: 'nothing was changed; with the network the next run fetches it again, from the pinned root on',
      context: { version },
    });
  }

  async openFile(
    path: string,
    length: number,
    _resume?: unknown,
    options: FetchOptions = {},
  ): Promise<OpenedFile> {
    let unreadable: IronError | undefined;
    for (const stored of [this.#store.targetPath(path), this.#store.evidencePath(path)]) {
      try {
        return await openLocal(stored, length, { ...options, nofollow: true });
      } catch (error) {
        // Something else in the place of the one is no reason to leave out the other.
        if (isOtherKind(error)) unreadable = error;
        else if (!isIronError(error, 'E_NOT_FOUND')) throw error;
      }
    }
    if (unreadable !== undefined) throw ofNoUse(`what is stored of ${path}`, unreadable);
    throw new IronError('E_NOT_FOUND', `${path} is not stored`, {
      why: 'without the network there are the targets that a bundle brought, and the evidence of what was verified here before',
      hint: 'nothing was changed; `bundle import` one that has it, or leave out --offline',
    });
  }
}

function ofNoUse(what: string, cause: IronError): IronError {
  return new IronError('E_STORE', `${what} is of no use: ${cause.message}`, {
    ...(cause.why === undefined ? {} : { why: cause.why }),
    hint: 'nothing was changed; with the network the next run replaces it, and `ironport-client ADDRESS doctor --repair` removes it',
    cause,
    context: cause.context,
  });
}
