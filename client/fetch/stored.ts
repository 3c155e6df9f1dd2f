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
    const role = parseMetadataPath(path)?.role;
    // Roots are replayed by the workflow itself; a newer one than the stored is not known here.
    if (role === undefined || role === 'root') return undefined;
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
