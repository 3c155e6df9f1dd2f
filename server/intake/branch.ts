/**
 * A vendor's branch of the delegations: its own role and, when that is split, its hash bins
 * (TAP 15). What is asked here is answered from what is published; nothing is read but the role
 * that speaks for a path.
 */

import type { Crypto } from '../../shared/crypto/crypto.ts';
import { canonicalText } from '../../shared/json/canonical.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { binFor, binNames, type SuccinctRoles } from '../../shared/tuf/delegations.ts';
import type { TargetEntry, Targets } from '../../shared/tuf/targets.ts';
import type { Published } from '../storage/published.ts';

export class Branch {
  readonly #crypto: Crypto;
  readonly #published: Published;
  readonly #vendor: string;

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
    const succinct = own?.delegations?.succinct;
    const listed = own?.entry(path);
    if (listed !== undefined || succinct === undefined) return listed;
    const bin = await this.#published.role(binFor(this.#crypto, succinct, path));
    return bin?.targets.entry(path);
  }

  /** All that is published of this vendor, one role in memory at a time. */
  async *entries(): AsyncGenerator<TargetEntry> {
    const own = await this.own();
    if (own !== undefined) yield* entriesOf(own);
    const succinct = own?.delegations?.succinct;
    for (const bin of succinct === undefined ? [] : binNames(succinct)) {
      const role = await this.#published.role(bin);
      if (role !== undefined) yield* entriesOf(role.targets);
    }
  }
}

function* entriesOf(role: Targets): Generator<TargetEntry> {
  for (const path of role.paths()) yield role.entry(path) as TargetEntry;
}

/** Whether two versions of a role delegate alike: to the same bins, signed by the same keys. */
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
