/**
 * The part of a target that is there already. It lies beside the place of the target, so that it
 * becomes the target by a rename, and is named after what it is to become, and under which name:
 * another version of the same target never continues it.
 */

import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { getuid } from 'node:process';
import { fromUtf8, utf8 } from '../shared/bytes.ts';
import { isIronError } from '../shared/errors.ts';
import { isErrno } from '../shared/node/errno.ts';
import { type FileSystem, type OpenFile, onPath } from '../shared/node/file-system.ts';
import { readFileCapped, writeFileAtomic } from '../shared/node/files.ts';
import type { TargetFile } from './target-file.ts';

export interface OpenedPartial {
  /** At its beginning, readable and writable; owned by the caller. */
  readonly file: OpenFile;
  readonly length: number;
  /** What the repository called the file when its beginning was fetched. */
  readonly validator: string | undefined;
}

export class Partial {
  readonly path: string;
  readonly #target: TargetFile;
  readonly #origin: string;
  readonly #files: FileSystem;

  constructor(out: string, target: TargetFile, origin: string, files: FileSystem) {
    const digest = target.hashes.get('sha256') ?? target.hashes.get('sha512') ?? '';
    // With its place: two that are the same bytes may come at once into one folder.
    const name = createHash('sha256')
      .update(`${digest} ${basename(out)}`)
      .digest('hex');
    this.path = join(dirname(out), `.ironport-${name.slice(0, 32)}.part`);
    this.#target = target;
    this.#origin = origin;
    this.#files = files;
  }

  /** Opens what is there, or a new and empty file. */
  async open(): Promise<OpenedPartial> {
    const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    const kept = await this.#openKept();
    if (kept !== undefined) return kept;
    await this.discard();
    const flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
    const file = await onPath(this.path, () => this.#files.open(this.path, flags, 0o644));
    return { file, length: 0, validator: undefined };
  }

  /** Notes by which name the file can be taken up; without one, it cannot. */
  async remember(validator: string | undefined): Promise<void> {
    if (validator === undefined) return await this.forget();
    const note = utf8(`${this.#origin}\n${validator}\n`);
    await writeFileAtomic(this.#note, note, { files: this.#files });
  }

  async forget(): Promise<void> {
    await this.#remove(this.#note);
  }

  async discard(): Promise<void> {
    await this.#remove(this.path);
    await this.forget();
  }

  get #note(): string {
    return `${this.path}.from`;
  }

  async #openKept(): Promise<OpenedPartial | undefined> {
    const { O_RDWR, O_NOFOLLOW } = constants;
    const validator = await this.#validator();
    if (validator === undefined) return undefined;
    let file: OpenFile;
    try {
      file = await this.#files.open(this.path, O_RDWR | O_NOFOLLOW);
    } catch (error) {
      // Not there, a link, or not ours to write: in each case a new one is begun.
      if (isErrno(error)) return undefined;
      throw error;
    }
    const found = await file.stat();
    const uid = getuid?.();
    // Whoever else can write to it could change the beginning after it was hashed.
    const isOurs = (uid === undefined || found.uid === uid) && (found.mode & 0o022) === 0;
    if (found.isFile() && isOurs && found.nlink === 1 && found.size <= this.#target.length) {
      return { file, length: found.size, validator };
    }
    await file.close();
    return undefined;
  }

  async #validator(): Promise<string | undefined> {
    try {
      const bytes = await readFileCapped(this.#note, 4096, { files: this.#files, nofollow: true });
      const [origin, validator, end] = fromUtf8(bytes).split('\n');
      // One mirror's name for a file says nothing to another.
      return origin === this.#origin && end === '' ? validator : undefined;
    } catch (error) {
      if (isIronError(error)) return undefined;
      throw error;
    }
  }

  async #remove(path: string): Promise<void> {
    await onPath(path, () =>
      this.#files.unlink(path).catch((error) => {
        if (!isErrno(error) || error.code !== 'ENOENT') throw error;
      }),
    );
  }
}
