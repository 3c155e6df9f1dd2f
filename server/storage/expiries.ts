/** Until when each published role holds, without reading every vendor's file again and again. */

import { NESTED_LIMITS } from '../../shared/limits.ts';
import type { Instant } from '../../shared/time.ts';
import { TOP_LEVEL_ROLES } from '../../shared/tuf/names.ts';
import { depthOf } from '../../shared/tuf/nested.ts';
import type { Published } from './published.ts';

export interface RoleExpiry {
  readonly role: string;
  readonly version: number;
  readonly expires: Instant;
}

export class Expiries {
  /** By role, of the version that was read last; the bytes of a version never change. */
  readonly #known = new Map<string, RoleExpiry>();
  /** Roles nested in a vendor's, of the version that was read last. */
  readonly #nested = new Map<
    string,
    { readonly version: number; readonly names: readonly string[] }
  >();

  /**
   * The top-level roles, and each role that targets delegate to and that has published something.
   * Roles nested in a vendor's are renewed by their own signers; bins are left out, as their vendor
   * renews them with its own role.
   */
  async all(published: Published): Promise<RoleExpiry[]> {
    const list = TOP_LEVEL_ROLES.map((role) => ({
      role: role as string,
      version: published[role].version,
      expires: published[role].expires,
    }));
    for (const { name } of published.delegations?.roles ?? []) {
      const one = await this.#of(published, name);
      if (one === undefined) continue;
      list.push(one);
      await this.#addNested(published, one, list);
    }
    return list;
  }

  async #addNested(published: Published, above: RoleExpiry, list: RoleExpiry[]): Promise<void> {
    // Deeper than this nothing is taken.
    if (depthOf(above.role) >= NESTED_LIMITS.depth) return;
    for (const nested of await this.#nestedIn(published, above.role, above.version)) {
      const below = await this.#of(published, nested);
      if (below === undefined) continue;
      list.push(below);
      await this.#addNested(published, below, list);
    }
  }

  async #nestedIn(published: Published, role: string, version: number): Promise<readonly string[]> {
    const known = this.#nested.get(role);
    if (known?.version === version) return known.names;
    const { roles = [] } = (await published.role(role))?.targets.delegations ?? {};
    const names = roles.map(({ name }) => name);
    this.#nested.set(role, { version, names });
    return names;
  }

  async #of(published: Published, role: string): Promise<RoleExpiry | undefined> {
    const version = published.version(role);
    const known = this.#known.get(role);
    if (known?.version === version) return known;
    const file = (await published.role(role))?.targets;
    if (file === undefined) return undefined;
    const one = { role, version, expires: file.expires };
    this.#known.set(role, one);
    return one;
  }
}
