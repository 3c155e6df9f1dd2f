/** Until when each published role holds, without reading every vendor's file again and again. */

import type { Instant } from '../../shared/time.ts';
import { TOP_LEVEL_ROLES } from '../../shared/tuf/names.ts';
import type { Published } from './published.ts';

export interface RoleExpiry {
  readonly role: string;
  readonly version: number;
  readonly expires: Instant;
}

export class Expiries {
  /** By role, of the version that was read last; the bytes of a version never change. */
  readonly #known = new Map<string, RoleExpiry>();

  /**
   * The top-level roles, and each role that targets delegate to and that has published something.
   * Bins are left out: their vendor renews them with its own role.
   */
  async all(published: Published): Promise<RoleExpiry[]> {
    const list = TOP_LEVEL_ROLES.map((role) => ({
      role: role as string,
      version: published[role].version,
      expires: published[role].expires,
    }));
    for (const { name } of published.delegations?.roles ?? []) {
      const one = await this.#of(published, name);
      if (one !== undefined) list.push(one);
    }
    return list;
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
