/**
 * A vendor's branch of the delegations: its own role and what stands below it, hash bins (TAP 15)
 * or nested roles. What is asked here is answered from what is published; nothing is read but the
 * role that speaks for a path.
 */

import type { Crypto } from '../../shared/crypto/crypto.ts';
import { canonicalText } from '../../shared/json/canonical.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import type { SuccinctRoles } from '../../shared/tuf/delegations.ts';
import { Owners, rolesBelow } from '../../shared/tuf/nested.ts';
import type { TargetEntry, Targets } from '../../shared/tuf/targets.ts';
import type { Published } from '../storage/published.ts';

export class Branch {
  readonly #crypto: Crypto;
  readonly #published: Published;
  readonly #vendor: string;
  #owners: Owners | undefined;

  constructor(crypto: Crypto, published: Published, vendor: string) {
    this.#crypto = crypto;
    this.#published = published;
    this.#vendor = vendor;
  }

  /** The vendor's own role as it is published. */
  async own(): Promise<Targets | undefined> {
    return (await this.#published.role(this.#vendor))?.targets;
  }

  /** The published entry of a path of this vendor, by whichever of its roles speaks for it. */
  async entry(path: string): Promise<TargetEntry | undefined> {
    const own = await this.own();
    this.#owners ??= new Owners(this.#crypto, this.#vendor, own);
    const owner = this.#owners.of(path);
    if (owner === this.#vendor) return own?.entry(path);
    return (await this.#published.role(owner))?.targets.entry(path);
  }

  /** All that is published of this vendor, one role in memory at a time. */
  async *entries(): AsyncGenerator<TargetEntry> {
    const own = await this.own();
    if (own !== undefined) yield* entriesOf(own);
    for (const below of rolesBelow(own)) {
      const role = await this.#published.role(below);
      if (role !== undefined) yield* entriesOf(role.targets);
    }
  }
}

function* entriesOf(role: Targets): Generator<TargetEntry> {
  for (const path of role.paths()) yield role.entry(path) as TargetEntry;
}

/** Whether two versions of a role delegate alike: to the same roles, signed by the same keys. */
export function delegateAlike(a: Targets | undefined, b: Targets | undefined): boolean {
  const text = (role: Targets | undefined): string => {
    const delegations: JsonValue | undefined = role?.envelope.tree.delegations;
    return delegations === undefined ? '' : canonicalText(delegations);
  };
  return text(a) === text(b);
}

/** Whether two entries say the same, `custom` included. */
export function sameEntry(a: TargetEntry | undefined, b: TargetEntry): boolean {
  if (a === undefined || a.length !== b.length) return false;
  if (a.hashes.get('sha256') !== b.hashes.get('sha256')) return false;
  const custom = ({ custom }: TargetEntry): string =>
    custom === undefined ? '' : canonicalText(custom.value);
  return custom(a) === custom(b);
}

/** The bins that speak for the paths of a vendor under its role `own`; undefined when unsplit. */
export function binsOf(own: Targets | undefined): SuccinctRoles | undefined {
  return own?.delegations?.succinct;
}
