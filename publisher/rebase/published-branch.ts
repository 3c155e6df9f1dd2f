/**
 * What is published under the vendor's role, path by path, whether the role lists it, a bin or a role
 * that is nested in it, however deep. Roles below it are verified when they are asked for, and kept: what
 * is built on them is asked again.
 */

import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError } from '../../shared/errors.ts';
import { SIDECARS, type Sidecar, sidecarPath } from '../../shared/layout.ts';
import { BranchWalk } from '../../shared/tuf/branch-walk.ts';
import type { TargetEntry, Targets } from '../../shared/tuf/targets.ts';
import type { Base, Fetcher } from './base.ts';
import { loadBelow } from './below.ts';

export class PublishedBranch extends BranchWalk {
  readonly base: Base;
  readonly #fetcher: Fetcher;
  readonly #crypto: Crypto;
  readonly #below = new Map<string, Targets>();

  constructor(crypto: Crypto, fetcher: Fetcher, base: Base) {
    const { name } = base.delegation;
    super(crypto, name, async (role) => (role === name ? base.role : await this.below(role)));
    this.base = base;
    this.#crypto = crypto;
    this.#fetcher = fetcher;
  }

  /** A role below the vendor's own. `E_DELEGATION` when no delegation leads to it. */
  async below(role: string): Promise<Targets> {
    const known = this.#below.get(role);
    if (known !== undefined) return known;
    const keys = await this.keys(role);
    if (keys === undefined)
      throw new IronError('E_DELEGATION', `${role} is no role of ${this.vendor}`, {
        hint: 'nothing was signed',
      });
    const file = await loadBelow(this.#crypto, this.#fetcher, this.base, keys, role);
    this.#below.set(role, file);
    return file;
  }

  async entry(path: string): Promise<TargetEntry | undefined> {
    return (await this.read(await this.owner(path)))?.entry(path);
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
