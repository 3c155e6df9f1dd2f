/**
 * What is published under the vendor's role, path by path, whether the role lists it, a bin of it or a
 * role that is nested in it. Roles below it are verified when they are asked for, and kept: what is
 * built on them is asked again.
 */

import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError } from '../../shared/errors.ts';
import { SIDECARS, type Sidecar, sidecarPath } from '../../shared/layout.ts';
import type { SuccinctRoles } from '../../shared/tuf/delegations.ts';
import { keysBelow, Owners } from '../../shared/tuf/nested.ts';
import type { TargetEntry, Targets } from '../../shared/tuf/targets.ts';
import type { Base, Fetcher } from './base.ts';
import { loadBelow } from './below.ts';

export class PublishedBranch {
  readonly base: Base;
  /** The bins into which the published role is split; undefined when it is not. */
  readonly succinct: SuccinctRoles | undefined;
  readonly #crypto: Crypto;
  readonly #fetcher: Fetcher;
  readonly #owners: Owners;
  readonly #below = new Map<string, Targets>();

  constructor(crypto: Crypto, fetcher: Fetcher, base: Base) {
    this.base = base;
    this.succinct = base.role?.delegations?.succinct;
    this.#crypto = crypto;
    this.#fetcher = fetcher;
    this.#owners = new Owners(crypto, base.delegation.name, base.role);
  }

  /** The role that alone may list `path`: the vendor's own, a bin of it, or a nested one. */
  ownerOf(path: string): string {
    return this.#owners.of(path);
  }

  /** A role below the vendor's own. */
  async below(role: string): Promise<Targets> {
    const known = this.#below.get(role);
    if (known !== undefined) return known;
    const keys = keysBelow(this.base.role, role);
    if (keys === undefined)
      throw new IronError('E_DELEGATION', `${role} is no role of ${this.base.delegation.name}`, {
        hint: 'nothing was signed',
      });
    const file = await loadBelow(this.#crypto, this.#fetcher, this.base, keys, role);
    this.#below.set(role, file);
    return file;
  }

  async entry(path: string): Promise<TargetEntry | undefined> {
    const owner = this.ownerOf(path);
    if (owner === this.base.delegation.name) return this.base.role?.entry(path);
    return (await this.below(owner)).entry(path);
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
