/**
 * A fetcher that keeps a copy of every target it was asked for. What a verification reads besides
 * metadata (sidecars, lists that are targets themselves) is small, and is what a bundle must carry.
 */

import type { Fetcher, FetchOptions, OpenedFile } from '../fetch/fetcher.ts';

export class RecordingFetcher implements Fetcher {
  readonly origin: string;
  readonly isOffline: boolean;
  /** By path in the tree; whole files only. */
  readonly recorded = new Map<string, Uint8Array>();
  readonly #fetcher: Fetcher;

  constructor(fetcher: Fetcher) {
    this.#fetcher = fetcher;
    this.origin = fetcher.origin;
    this.isOffline = fetcher.isOffline === true;
  }

  fetchFile(
    path: string,
    maxLength: number,
    options?: FetchOptions,
  ): Promise<Uint8Array | undefined> {
    return this.#fetcher.fetchFile(path, maxLength, options);
  }

  async openFile(
    path: string,
    length: number,
    _resume?: unknown,
    options?: FetchOptions,
  ): Promise<OpenedFile> {
    const opened = await this.#fetcher.openFile(path, length, undefined, options);
    const { recorded } = this;
    const copied = async function* (): AsyncGenerator<Uint8Array, void> {
      const bytes = new Uint8Array(length);
      let at = 0;
      for await (const piece of opened.pieces) {
        // A fetcher gives no more than `length`; more would throw here.
        bytes.set(piece, at);
        at += piece.length;
        yield piece;
      }
      if (at === length) recorded.set(path, bytes);
    };
    return { ...opened, pieces: copied() };
  }
}
