/**
 * The hand-over folder, which belongs to somebody we do not trust and who may change it while we
 * read. It is opened once, each file in it is opened once, no symbolic link is followed at any
 * place below it, and all that is used afterwards is our own copy.
 */

import { constants } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { IronError } from '../shared/errors.ts';
import type { HandoffFile } from '../shared/handoff/record.ts';
import { handoff } from '../shared/layout.ts';
import { HANDOFF_LIMITS } from '../shared/limits.ts';
import { onPath } from '../shared/node/file-system.ts';
import { openRegular } from '../shared/node/files.ts';
import { copyHashing, type Measured, pieces, type StreamOptions } from '../shared/node/hash.ts';

export class HandedOver {
  readonly #name: string;
  readonly #folder: FileHandle;
  /** The folder of the targets; opened at the first one. */
  #targets: FileHandle | undefined;

  private constructor(name: string, folder: FileHandle) {
    this.#name = name;
    this.#folder = folder;
  }

  /** `E_NOT_FOUND` when there is no folder, `E_IO` when it is something else. */
  static async open(folder: string): Promise<HandedOver> {
    return new HandedOver(folder, await openFolder(folder, folder, 0));
  }

  /** Copies the record to `to`, a new file of ours. `E_TOO_LARGE` over the limit. */
  copyRecord(to: string): Promise<Measured> {
    return this.#copy(this.#folder, handoff.record, to, { cap: HANDOFF_LIMITS.record });
  }

  /**
   * Copies the artifact or a sidecar to `to`, a new file of ours, while hashing; `file` is what was
   * signed about it. `E_LENGTH` and `E_HASH` when the copy is something else; then there is none.
   */
  async copyTarget(file: HandoffFile, to: string, options: StreamOptions = {}): Promise<void> {
    const [folder, name] = split(handoff.target(file.path));
    this.#targets ??= await openFolder(
      below(this.#folder, folder),
      `${this.#name}/${folder}`,
      constants.O_NOFOLLOW,
    );
    const wrongLength = (found: string): IronError =>
      new IronError(
        'E_LENGTH',
        `${file.path} has ${found} bytes where ${file.length} were signed`,
        {
          hint: 'nothing was changed; hand it over again',
          context: { path: file.path, signed: file.length },
        },
      );
    let found: Measured;
    try {
      found = await this.#copy(this.#targets, name, to, { ...options, cap: file.length });
    } catch (error) {
      // TUF 5.7.2: not one byte more than was signed is read.
      if (error instanceof IronError && error.code === 'E_TOO_LARGE') throw wrongLength('more');
      throw error;
    }
    if (found.length === file.length && found.sha256 === file.sha256) return;
    await unlink(to);
    if (found.length !== file.length) throw wrongLength(String(found.length));
    throw new IronError('E_HASH', `${file.path} is not what was signed`, {
      why: `its SHA-256 is ${found.sha256}, and ${file.sha256} was signed`,
      hint: 'nothing was changed; hand it over again, and find out who changed the folder',
      context: { path: file.path, signed: file.sha256, found: found.sha256 },
    });
  }

  async close(): Promise<void> {
    await this.#targets?.close();
    await this.#folder.close();
  }

  async #copy(
    folder: FileHandle,
    name: string,
    to: string,
    options: StreamOptions,
  ): Promise<Measured> {
    const shown = `${this.#name}/${name}`;
    const file = await openRegular(below(folder, name), { nofollow: true }).catch((error) => {
      throw asOf(error, shown);
    });
    try {
      const { size } = await onPath(shown, () => file.stat());
      // Before a byte is copied: a file that says itself that it is too long costs nothing.
      if (options.cap !== undefined && size > options.cap) {
        throw new IronError('E_TOO_LARGE', `${shown} has more than ${options.cap} bytes`);
      }
      return await onPath(shown, () => copyHashing(pieces(file), to, { ...options, mode: 0o600 }));
    } finally {
      await file.close();
    }
  }
}

/** Node has no openat(2); the kernel's name for an open folder does the same on Linux. */
function below(folder: FileHandle, name: string): string {
  return `/proc/self/fd/${folder.fd}/${name}`;
}

async function openFolder(path: string, shown: string, flags: number): Promise<FileHandle> {
  const { O_RDONLY, O_DIRECTORY } = constants;
  try {
    return await onPath(shown, () => open(path, O_RDONLY | O_DIRECTORY | flags), 'E_NOT_FOUND');
  } catch (error) {
    throw asOf(error, shown);
  }
}

function split(path: string): [folder: string, name: string] {
  return [dirname(path), path.slice(dirname(path).length + 1)];
}

/** The error with the name that the user knows, and with what it means for a hand-over. */
function asOf(error: unknown, shown: string): unknown {
  if (!(error instanceof IronError)) return error;
  return new IronError(error.code, `${shown} cannot be taken over`, {
    why: error.why ?? error.message.replace(/\/proc\/self\/fd\/\d+\/\S*/, 'it'),
    hint: 'nothing was changed; hand it over again',
    cause: error,
    context: { ...error.context, path: shown },
  });
}
