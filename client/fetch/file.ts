/** A repository in a folder: a copy on a stick, a mounted share, a staged tree. */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { IronError, isIronError } from '../../shared/errors.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { insideFolder } from '../../shared/node/folders.ts';
import type { Fetcher, FetchOptions, OpenedFile, ResumeFrom } from './fetcher.ts';
import { openLocal } from './local.ts';

export class FileFetcher implements Fetcher {
  readonly origin: string;

  /** `folder` holds `metadata/` and `targets/`. */
  constructor(folder: string) {
    this.origin = folder;
  }

  async fetchFile(
    path: string,
    maxLength: number,
    options: FetchOptions = {},
  ): Promise<Uint8Array | undefined> {
    options.signal?.throwIfAborted();
    await this.#demandFolder();
    try {
      const bytes = await readFileCapped(await this.#locate(path), maxLength);
      options.onBytes?.(bytes.length);
      return bytes;
    } catch (error) {
      if (isIronError(error, 'E_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  async openFile(
    path: string,
    length: number,
    _resume?: ResumeFrom,
    options: FetchOptions = {},
  ): Promise<OpenedFile> {
    return openLocal(await this.#locate(path), length, options);
  }

  /** Target paths come from outside: neither `..` nor a symbolic link leads out of the folder. */
  #locate(path: string): Promise<string> {
    return insideFolder(this.origin, path);
  }

  /** A stick that is not mounted is not a repository without files. */
  async #demandFolder(): Promise<void> {
    const found = await stat(join(this.origin, 'metadata')).catch(() => undefined);
    if (found?.isDirectory() === true) return;
    throw new IronError('E_NETWORK', `${this.origin} is not the folder of a repository`, {
      why: 'there is no folder `metadata` in it',
      hint: 'nothing was changed; check the path, and whether it is mounted',
      context: { path: this.origin },
    });
  }
}
