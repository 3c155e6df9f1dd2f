/** Who must have signed: names of keys, and how many of them. */

import type { Node } from '../../json/decode.ts';
import { POLICY_LIMITS } from '../../limits.ts';

/** The name by which rules mean the evidence keys of the vendor's current role. */
export const VENDOR = 'vendor';

/** `signers` and `least` of a rule; `names` are the keys that the policy has. `E_SCHEMA`. */
export function readQuorum(
  node: Node,
  names: ReadonlySet<string>,
): { readonly signers: readonly string[]; readonly least: number } {
  const signers = readSigners(node.get('signers'), names);
  return { signers, least: readLeast(node, signers) };
}

/** How many different keys of those that these names mean must have signed: at least one. */
export function readLeast(node: Node, signers: readonly string[]): number {
  // More than there are could never hold; of `vendor` nobody knows here how many there are.
  const most = signers.includes(VENDOR) ? POLICY_LIMITS.keys : signers.length;
  return node.maybe('least')?.integer(1, most) ?? 1;
}

export function readSigners(node: Node, names: ReadonlySet<string>): string[] {
  const signers = node.items(POLICY_LIMITS.keys).map((item) => {
    const name = item.string();
    if (name !== VENDOR && !names.has(name)) {
      throw item.error(`"vendor" or one of the policy's keys is expected`);
    }
    return name;
  });
  if (signers.length === 0) throw node.error('at least one signer is expected');
  if (new Set(signers).size < signers.length) throw node.error('a signer stands twice');
  return signers;
}
