/**
 * One mirror during one piece of work. It fetches as the mirror does and remembers how far the
 * workflow came with the mirror's timestamp: a mirror that lacks what a newer timestamp names, and
 * one whose timestamp is late, may together still be a whole repository.
 */

import { IronError, isIronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import type { Fetcher, FetchOptions, OpenedFile, ResumeFrom } from './fetcher.ts';

const TIMESTAMP = `${tree.metadataFolder}/${tree.unversioned('timestamp')}`;

export class MirrorView implements Fetcher {
  readonly #mirror: Fetcher;
  /** Given in the place of the mirror's own timestamp, and verified like any. */
  readonly #standIn: Uint8Array | undefined;
  #timestamp: Uint8Array | undefined;
  #wentOn = false;

  constructor(mirror: Fetcher, standIn?: Uint8Array) {
    this.#mirror = mirror;
    this.#standIn = standIn;
  }

  get origin(): string {
    return this.#mirror.origin;
  }

  get isOffline(): boolean {
    return this.#mirror.isOffline === true;
  }

  async fetchFile(
    path: string,
    maxLength: number,
    options?: FetchOptions,
  ): Promise<Uint8Array | undefined> {
    if (path !== TIMESTAMP) {
      this.#wentOn = this.#timestamp !== undefined;
      return ofMirror(() => this.#mirror.fetchFile(path, maxLength, options));
    }
    this.#timestamp =
      this.#standIn ?? (await ofMirror(() => this.#mirror.fetchFile(path, maxLength, options)));
    this.#wentOn = false;
    return this.#timestamp;
  }

  openFile(
    path: string,
    length: number,
    resume?: ResumeFrom,
    options?: FetchOptions,
  ): Promise<OpenedFile> {
    this.#wentOn = this.#timestamp !== undefined;
    return ofMirror(() => this.#mirror.openFile(path, length, resume, options));
  }

  /** The timestamp after which more was asked for: so the workflow had accepted it. */
  get accepted(): Uint8Array | undefined {
    return this.#wentOn ? this.#timestamp : undefined;
  }

  /**
   * The mirror's timestamp, when `error` is the refusal of it for its age (TUF 5.4.3) or for keys
   * that a newer root no longer has (TUF 5.4.2). Under a newer one the mirror may still serve.
   */
  refusedTimestamp(error: IronError): Uint8Array | undefined {
    const isOfTimestamp = !this.#wentOn && isIronError(error, 'E_ROLLBACK', 'E_THRESHOLD');
    return isOfTimestamp ? this.#timestamp : undefined;
  }
}

/** A folder that cannot be read is its mirror's trouble; one that we cannot write would be ours. */
async function ofMirror<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!isIronError(error, 'E_IO')) throw error;
    throw new IronError('E_NETWORK', error.message, {
      hint: 'nothing was changed; check the folder, or ask another mirror',
      cause: error,
      context: error.context,
    });
  }
}
