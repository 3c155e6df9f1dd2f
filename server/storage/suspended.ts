/**
 * Vendors from whom nothing is taken for the moment: a file each in the service's private folder,
 * so that it holds at once, also for a service that runs, and after a restart.
 */

import { readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { data } from '../../shared/layout.ts';
import { fromErrno, isErrno } from '../../shared/node/errno.ts';
import { writeFileAtomic } from '../../shared/node/files.ts';
import { ensurePrivateFolder } from '../../shared/node/folders.ts';
import { promptFiles } from '../../shared/node/prompt-files.ts';
import { parseVendorName } from '../../shared/tuf/names.ts';

export class Suspended {
  readonly #home: string;

  /** @param home the service's folder */
  constructor(home: string) {
    this.#home = home;
  }

  async has(vendor: string): Promise<boolean> {
    try {
      await promptFiles.access(this.#place(vendor));
      return true;
    } catch (error) {
      // What cannot be looked at is no permission to go on.
      if (!isErrno(error) || error.code !== 'ENOENT') throw error;
      return false;
    }
  }

  /** `E_NOT_AUTHORISED` for a vendor that is suspended. */
  async refuse(vendor: string): Promise<void> {
    if (!(await this.has(vendor))) return;
    throw new IronError('E_NOT_AUTHORISED', `${vendor} is suspended`, {
      why: 'the operators take nothing from this vendor for the moment',
      hint: 'nothing was changed; ask the operators of the repository',
      context: { vendor },
    });
  }

  async add(vendor: string): Promise<void> {
    await ensurePrivateFolder(join(this.#home, data.suspendedFolder));
    await writeFileAtomic(this.#place(vendor), utf8(`${vendor}\n`), { mode: 0o600 });
  }

  /** `E_NOTHING_TO_DO` when it is not suspended. */
  async lift(vendor: string): Promise<void> {
    try {
      await unlink(this.#place(vendor));
    } catch (error) {
      if (!isErrno(error)) throw error;
      if (error.code !== 'ENOENT') throw fromErrno(error);
      throw new IronError('E_NOTHING_TO_DO', `${vendor} is not suspended`);
    }
  }

  async list(): Promise<string[]> {
    try {
      return (await readdir(join(this.#home, data.suspendedFolder))).sort();
    } catch (error) {
      if (isErrno(error) && error.code === 'ENOENT') return [];
      throw error;
    }
  }

  #place(vendor: string): string {
    return join(this.#home, data.suspended(parseVendorName(vendor)));
  }
}
