/** Whose word counts about a submission: reviewers who are neither its vendor nor the service. */

import { keyIdentity, type PublicKey } from '../../../shared/crypto/key.ts';
import { parseEvidenceKeys } from '../../../shared/evidence/keys.ts';
import { parseReviewers } from '../../../shared/tuf/reviewers.ts';
import { keyIdentities } from '../../../shared/tuf/role.ts';
import { parseTargets, type Targets } from '../../../shared/tuf/targets.ts';
import type { Published } from '../../storage/published.ts';

/** Reviewers whose word counts, and how many must approve. */
export interface Panel {
  readonly keys: readonly PublicKey[];
  /** Undefined while the targets name no reviewers: nobody can approve. */
  readonly threshold: number | undefined;
}

/**
 * The reviewers that the published targets name, without those keys that speak for the vendor (its
 * role, its bins, its evidence, its requests; as published and as handed in) or that the service
 * holds online.
 * @param submitted the vendor's own role file, if one was handed in
 */
export async function panelFor(
  published: Published,
  vendor: string,
  submitted: Uint8Array | undefined,
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
  bar(identitiesIn((await published.role(vendor))?.targets));
  bar(identitiesIn(submitted && parseTargets(submitted, vendor)));
  const keys = reviewers.keys.filter((key) => !barred.has(keyIdentity(key)));
  return { keys, threshold: reviewers.threshold };
}

/** Keys that a vendor's role names: of its evidence, and of those to whom it delegates. */
function identitiesIn(role: Targets | undefined): string[] {
  if (role === undefined) return [];
  const { active, retired } = parseEvidenceKeys(role.envelope.signed);
  const delegated = [...(role.delegations?.keys.values() ?? [])]
    .map(({ publicKey }) => publicKey)
    .filter((key) => key !== undefined);
  return [...active, ...retired, ...delegated].map(keyIdentity);
}
