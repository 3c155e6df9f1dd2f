/** Whether a file of the tree was signed by who might sign it at some time of its history. */

import type { Crypto } from '../../../shared/crypto/crypto.ts';
import { isIronError } from '../../../shared/errors.ts';
import { tree } from '../../../shared/layout.ts';
import { type DelegatedKeys, type Delegations, isBin } from '../../../shared/tuf/delegations.ts';
import type { SignedCommon } from '../../../shared/tuf/envelope.ts';
import type { TopLevelRole } from '../../../shared/tuf/names.ts';
import { verifyThreshold } from '../../../shared/tuf/role.ts';
import type { Root } from '../../../shared/tuf/root.ts';
import type { Targets } from '../../../shared/tuf/targets.ts';
import type { Findings } from './findings.ts';
import type { Versions } from './role-rows.ts';

/** Each was signed by a threshold of some root of the chain, which was verified on its own. */
export function demandSignedByRoot(
  crypto: Crypto,
  findings: Findings,
  role: Exclude<TopLevelRole, 'root'>,
  versions: Versions<SignedCommon>,
  roots: readonly Root[],
): void {
  for (const [version, file] of versions) {
    const holds = roots.some((root) =>
      holdsThreshold(() => verifyByRoot(crypto, root, role, file)),
    );
    if (!holds)
      findings.add(tree.metadata(role, version), 'no root that was ever trusted signs it');
  }
}

/** `E_THRESHOLD` when too few of the keys that this root names for the role signed the file. */
export function verifyByRoot(
  crypto: Crypto,
  { keys, roles }: Root,
  role: Exclude<TopLevelRole, 'root'>,
  { envelope }: SignedCommon,
): void {
  verifyThreshold(crypto, envelope, keys, roles[role], role);
}

/** Whether these delegations name the role, and a threshold of their keys signed this file. */
export function covers(
  crypto: Crypto,
  delegations: Delegations,
  name: string,
  { envelope }: Targets,
): boolean {
  const role = delegatedKeys(delegations, name);
  if (role === undefined) return false;
  return holdsThreshold(() => verifyThreshold(crypto, envelope, delegations.keys, role, name));
}

/** Who signs a role by these delegations; undefined when they do not lead to it. */
export function delegatedKeys(
  { roles, succinct }: Delegations,
  name: string,
): DelegatedKeys | undefined {
  if (succinct !== undefined && isBin(succinct, name)) return succinct;
  return roles.find((candidate) => candidate.name === name);
}

/** Whether what is verified has enough signatures. */
export function holdsThreshold(verify: () => unknown): boolean {
  try {
    verify();
    return true;
  } catch (error) {
    if (!isIronError(error, 'E_THRESHOLD')) throw error;
    return false;
  }
}
