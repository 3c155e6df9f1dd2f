/**
 * What is published under the vendor's role, path by path, whether the role lists it or a bin of it.
 * Bins are verified when they are asked for, and kept: what is built on them is asked again.
 */

import type { Crypto } from '../../shared/crypto/crypto.ts';
import { SIDECARS, type Sidecar, sidecarPath } from '../../shared/layout.ts';
import { binFor, type SuccinctRoles } from '../../shared/tuf/delegations.ts';
import type { TargetEntry, Targets } from '../../shared/tuf/targets.ts';
import type { Base, Fetcher } from './base.ts';
import { loadBin } from './bins.ts';

export class PublishedBranch {
  readonly base: Base;
  /** The bins into which the published role is split; undefined when it is not. */
  readonly succinct: SuccinctRoles | undefined;
  readonly #crypto: Crypto;
  readonly #fetcher: Fetcher;
  readonly #bins = new Map<string, Targets>();

  constructor(crypto: Crypto, fetcher: Fetcher, base: Base) {
    this.base = base;
    this.succinct = base.role?.delegations?.succinct;
    this.#crypto = crypto;
    this.#fetcher = fetcher;
  }

  /** The bin that alone may list `path`; undefined when the role is not split. */
  binOf(path: string): string | undefined {
    return this.succinct === undefined ? undefined : binFor(this.#crypto, this.succinct, path);
  }

  async bin(succinct: SuccinctRoles, role: string): Promise<Targets> {
    const known = this.#bins.get(role);
    if (known !== undefined) return known;
    const bin = await loadBin(this.#crypto, this.#fetcher, this.base, succinct, role);
    this.#bins.set(role, bin);
    return bin;
  }

  async entry(path: string): Promise<TargetEntry | undefined> {
    const bin = this.binOf(path);
    if (this.succinct === undefined || bin === undefined) return this.base.role?.entry(path);
    return (await this.bin(this.succinct, bin)).entry(path);
  }

  /** Paths that are published of these artifacts: their own and their sidecars'. */
  async pathsOf(artifacts: readonly string[]): Promise<string[]> {
    const found: string[] = [];
    for (const artifact of artifacts) {
      const beside = (Object.keys(SIDECARS) as Sidecar[]).map((one) => sidecarPath(artifact, one));
      for (const path of [artifact, ...beside])
        if ((await this.entry(path)) !== undefined) found.push(path);
    }
    return found;
  }
}
