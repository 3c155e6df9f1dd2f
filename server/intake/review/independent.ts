/** Whose word counts about a submission: reviewers who are neither its vendor nor the service, nor denied. */

import type { Crypto } from '../../../shared/crypto/crypto.ts';
import { keyIdentity, type PublicKey } from '../../../shared/crypto/key.ts';
import { parseEvidenceKeys } from '../../../shared/evidence/keys.ts';
import { keyId } from '../../../shared/tuf/key.ts';
import { isBinName } from '../../../shared/tuf/nested.ts';
import { parseReviewers } from '../../../shared/tuf/reviewers.ts';
import { keyIdentities } from '../../../shared/tuf/role.ts';
import { parseTargets, type Targets } from '../../../shared/tuf/targets.ts';
import type { Published } from '../../storage/published.ts';
import { Branch } from '../branch.ts';

/** Reviewers whose word counts, and how many must approve. */
export interface Panel {
  readonly keys: readonly PublicKey[];
  /** Undefined while the targets name no reviewers: nobody can approve. */
  readonly threshold: number | undefined;
}

/**
 * The reviewers that the published targets name, without those keys that speak for the vendor (its
 * role, its bins, its evidence, its requests; as published and as handed in), that the service holds
 * online, or that the list of revocations denies.
 * @param submitted the role files that were handed in, bins left out
 */
export async function panelFor(
  crypto: Crypto,
  published: Published,
  vendor: string,
  submitted: readonly { readonly role: string; readonly bytes: Uint8Array }[],
): Promise<Panel> {
  const reviewers = parseReviewers(published.targets.envelope.signed);
  if (reviewers === undefined) return { keys: [], threshold: undefined };
  const barred = new Set<string>();
  const bar = (identities: Iterable<string>): void => {
    for (const identity of identities) barred.add(identity);
  };
  const { root, delegations } = published;
  for (const role of ['snapshot', 'timestamp'] as const)
    bar(keyIdentities(root.keys, root.roles[role]));
  for (const role of delegations?.roles ?? [])
    if (role.name === vendor && delegations !== undefined)
      bar(keyIdentities(delegations.keys, role));
  bar((published.vendors.get(vendor)?.apiKeys ?? []).map(keyIdentity));
  const branch = new Branch(crypto, published, vendor);
  bar(identitiesIn(await branch.read(vendor)));
  // Of roles below it those may delegate that are no bins.
  for await (const role of branch.names())
    if (!isBinName(role)) bar(delegatedIn(await branch.read(role)));
  for (const { role, bytes } of submitted) {
    const file = parseTargets(bytes, role);
    bar(role === vendor ? identitiesIn(file) : delegatedIn(file));
  }
  // A denied key counts nowhere; that it stays good for some digests gives no leave to let others in.
  const denied = (await published.revocations())?.verified.list.keys;
  const keys = reviewers.keys.filter(
    (key) => !barred.has(keyIdentity(key)) && denied?.has(keyId(crypto, key)) !== true,
  );
  return { keys, threshold: reviewers.threshold };
}

/** Keys that a vendor's role names: of its evidence, and of those to whom it delegates. */
function identitiesIn(role: Targets | undefined): string[] {
  if (role === undefined) return [];
  const { active, retired } = parseEvidenceKeys(role.envelope.signed);
  return [...[...active, ...retired].map(keyIdentity), ...delegatedIn(role)];
}

/** Keys to whose holders a role delegates. */
function delegatedIn(role: Targets | undefined): string[] {
  return [...(role?.delegations?.keys.values() ?? [])]
    .map(({ publicKey }) => publicKey)
    .filter((key) => key !== undefined)
    .map(keyIdentity);
}
