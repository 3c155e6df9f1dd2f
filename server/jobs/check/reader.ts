/** Asks for files of the repository, and holds what every file promises: bytes, caches, browsers. */

import type { Crypto } from '../../../shared/crypto/crypto.ts';
import { IronError } from '../../../shared/errors.ts';
import { tree } from '../../../shared/layout.ts';
import { cacheFinding, corsFinding } from './headers.ts';
import type { Get, Got } from './http.ts';
import type { Report } from './report.ts';
import { type CheckState, noteFile, seenAs } from './state.ts';

export interface ReaderOptions {
  readonly get: Get;
  readonly crypto: Crypto;
  readonly state: CheckState;
  /** Folders below the address, `metadata` and `targets` in ours; empty for the address itself. */
  readonly metadata: string;
  readonly targets: string;
}

export class Reader {
  readonly #options: ReaderOptions;
  readonly #report: Report;
  /** Paths that were asked for in this check. Owned by `get`. */
  readonly asked = new Set<string>();
  /** Digests of files that nobody believed yet, by their roles and paths. Owned by `metadata`. */
  readonly #unbelieved = new Map<string, Map<string, Uint8Array>>();

  constructor(options: ReaderOptions, report: Report) {
    this.#options = options;
    this.#report = report;
  }

  /** What is there; undefined for 403, 404 and 410, by which stores say that nothing is. */
  async get(path: string, cap: number, method: 'GET' | 'HEAD' = 'GET'): Promise<Got | undefined> {
    this.asked.add(path);
    const got = await this.#options.get(path, cap, method);
    if (got.status === 200) return got;
    if ([403, 404, 410].includes(got.status)) return undefined;
    throw new IronError('E_NETWORK', `${path} was answered with ${got.status}`);
  }

  /** A metadata file; its name, bytes and header fields are held against what they promise. */
  async metadata(
    role: string,
    version: number | undefined,
    cap: number,
  ): Promise<Uint8Array | undefined> {
    const { metadata } = this.#options;
    const name =
      version === undefined
        ? tree.unversioned(role)
        : tree.metadata(role, version).slice('metadata/'.length);
    const path = metadata === '' ? name : `${metadata}/${name}`;
    const got = await this.get(path, cap);
    if (got === undefined) return undefined;
    const cors = corsFinding(got);
    if (cors !== undefined) this.#report.found('cors', path, cors);
    const cache = cacheFinding(got, version === undefined);
    if (cache !== undefined) this.#report.found('cache', path, cache);
    if (version !== undefined) {
      this.compare(path, got.bytes);
      const files = this.#unbelieved.get(role) ?? new Map<string, Uint8Array>();
      this.#unbelieved.set(role, files.set(path, this.#options.crypto.sha256(got.bytes)));
    }
    return got.bytes;
  }

  /** A file whose name says that it never changes: it has the bytes that it had at an earlier look. */
  compare(path: string, bytes: Uint8Array): void {
    const { state, crypto } = this.#options;
    const before = seenAs(state, path, crypto.sha256(bytes));
    if (before !== undefined)
      this.#report.found(
        'changed',
        path,
        `it had the SHA-256 ${before} at an earlier look, and has another now`,
      );
  }

  /**
   * Remembers the files of a role that is believed. What was not is forgotten with this look: a page of a
   * portal in its place would make the true file look changed ever after.
   */
  believe(role: string): void {
    for (const [path, sha256] of this.#unbelieved.get(role) ?? [])
      noteFile(this.#options.state, path, sha256);
  }

  /** Below the address, where the bytes of a target lie. */
  place(name: string): string {
    const { targets } = this.#options;
    return targets === '' ? name : `${targets}/${name}`;
  }
}
