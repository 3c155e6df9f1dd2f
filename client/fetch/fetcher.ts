/** The one seam to wherever a repository is: a server, a folder, a simulator in a test. */

export interface FetchOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of bytes that arrived since the last call. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/** Where to take up a file that was partly fetched before. */
export interface ResumeFrom {
  readonly offset: number;
  /** What the repository called that state of the file; without one it is not taken up. */
  readonly validator: string;
}

export interface OpenedFile {
  /** Where the pieces begin: the offset asked for, or 0 when the file is not taken up there. */
  readonly start: number;
  /** To take the file up with, when the repository gave one. */
  readonly validator: string | undefined;
  readonly pieces: AsyncIterable<Uint8Array>;
}

export interface Fetcher {
  /**
   * The whole of a small file. `path` is a tree path as layout.ts makes it. Undefined only when
   * the repository says that there is no such file; over `maxLength` bytes is `E_TOO_LARGE`, and
   * what cannot be reached is `E_NETWORK` or `E_SLOW`.
   */
  fetchFile(
    path: string,
    maxLength: number,
    options?: FetchOptions,
  ): Promise<Uint8Array | undefined>;

  /**
   * A target, as it arrives. A file of more than `length` bytes is `E_LENGTH`, as soon as that is
   * known; `E_NOT_FOUND` when there is no such file.
   */
  openFile(
    path: string,
    length: number,
    resume?: ResumeFrom,
    options?: FetchOptions,
  ): Promise<OpenedFile>;

  /** Whether no repository is behind it that could say what is new: then old is `E_STALE`. */
  readonly isOffline?: boolean;

  /** For messages, and for knowing a source again: where the files come from. */
  readonly origin: string;

  /** Ends idle connections, where there are any. */
  close?(): Promise<void>;
}
