/**
 * The spool: a folder into which people who are not trusted put hand-overs, policies and statements. They
 * may change it while it is read. A request names an entry and never a path; the entry is opened once, below
 * the folder as it was opened, and no link is followed. What is used afterwards is a descriptor, or a copy.
 */

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { asIronError, IronError } from '../../shared/errors.ts';
import { MANIFEST_LIMITS } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { openRegular, readOpenCapped, writeFileAtomic } from '../../shared/node/files.ts';

export class Spool {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Runs `act` with a path that means the folder `entry`, whatever its name means by then. */
  async withFolder<T>(entry: string, act: (path: string) => Promise<T>): Promise<T> {
    const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
    return await this.#named(entry, async (place) => {
      const folder = await onPath(
        place,
        () => open(place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
        'E_NOT_FOUND',
      );
      try {
        return await act(`/proc/self/fd/${folder.fd}`);
      } finally {
        await folder.close();
      }
    });
  }

  /** Runs `act` with the path of a copy of the file `entry`, at `copy`, which only we can write. */
  async withFile<T>(entry: string, copy: string, act: (path: string) => Promise<T>): Promise<T> {
    const bytes = await this.#named(entry, async (place) => {
      const file = await openRegular(place, { nofollow: true });
      try {
        return await readOpenCapped(file, place, MANIFEST_LIMITS.signedPolicy);
      } finally {
        await file.close();
      }
    });
    await writeFileAtomic(copy, bytes, { mode: 0o600, durable: false });
    return await act(copy);
  }

  /** The entry below the folder as it is open now; an error of it names what the other side knows. */
  async #named<T>(entry: string, act: (place: string) => Promise<T>): Promise<T> {
    const { O_RDONLY, O_DIRECTORY } = constants;
    let folder: FileHandle | undefined;
    try {
      folder = await onPath(
        this.#path,
        () => open(this.#path, O_RDONLY | O_DIRECTORY),
        'E_NOT_FOUND',
      );
      return await act(join(`/proc/self/fd/${folder.fd}`, entry));
    } catch (error) {
      throw named(error, entry);
    } finally {
      await folder?.close();
    }
  }
}

/** Node has no openat(2), and its way round would be in every message: `/proc/self/fd/21/edu`. */
function named(error: unknown, entry: string): IronError {
  const { code, message, why, hint, context } = asIronError(error);
  const plain = (text: string): string =>
    text.replace(/\/proc\/self\/fd\/\d+(\/[A-Za-z0-9._%~+-]+)?/g, `spool entry ${entry}`);
  const { path: _, ...facts } = context;
  return new IronError(code, plain(message), {
    ...(why === undefined ? {} : { why: plain(why) }),
    hint: hint === undefined ? 'nothing was changed; look what lies in the spool' : plain(hint),
    cause: error,
    context: { ...facts, entry },
  });
}
