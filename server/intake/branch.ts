/**
 * A vendor's branch of the delegations: its own role and what stands below it, nested roles and hash
 * bins (TAP 15). What is asked here is answered from what is published; nothing is read but the roles on
 * the way to a path.
 */

import type { Crypto } from '../../shared/crypto/crypto.ts';
import { canonicalText } from '../../shared/json/canonical.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { BranchWalk } from '../../shared/tuf/branch-walk.ts';
import type { TargetEntry, Targets } from '../../shared/tuf/targets.ts';
import type { Published } from '../storage/published.ts';

export class Branch extends BranchWalk {
  constructor(crypto: Crypto, published: Published, vendor: string) {
    super(crypto, vendor, async (role) => (await published.role(role))?.targets);
  }

  /** The published entry of a path of this vendor, by whichever of its roles speaks for it. */
  async entry(path: string): Promise<TargetEntry | undefined> {
    return (await this.read(await this.owner(path)))?.entry(path);
  }

  /** All that is published of this vendor, one role in memory at a time. */
  async *entries(): AsyncGenerator<TargetEntry> {
    const own = await this.read(this.vendor);
    if (own !== undefined) yield* entriesOf(own);
    for await (const below of this.names()) {
      const role = await this.read(below);
      if (role !== undefined) yield* entriesOf(role);
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
