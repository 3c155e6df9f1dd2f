/**
 * Which of the roles that a snapshot lists a reader believes. The snapshot names a version, mostly without
 * a hash: what lies under that name is anybody's who can write there, until the keys of whoever delegates
 * to the role signed it.
 */

import type { Crypto } from '../../../shared/crypto/crypto.ts';
import { isIronError } from '../../../shared/errors.ts';
import { type DelegatedKeys, type Delegations, isBin } from '../../../shared/tuf/delegations.ts';
import { verifyThreshold } from '../../../shared/tuf/role.ts';
import type { Targets } from '../../../shared/tuf/targets.ts';

export interface Believed {
  /** The top level and what it leads to, signed by those to whom it is delegated. */
  readonly roles: ReadonlyMap<string, Targets>;
  /** Roles to which somebody believed delegates, and that too few of the keys signed; in words. */
  readonly refused: ReadonlyMap<string, string>;
}

/** @param top verified by the root; @param files all others that are there, by role, nothing of them verified */
export function believedRoles(
  crypto: Crypto,
  top: Targets,
  files: ReadonlyMap<string, Targets>,
): Believed {
  const roles = new Map([['targets', top]]);
  const refused = new Map<string, string>();
  // A map goes on with what is added to it: each role that is believed leads on once.
  for (const { delegations } of roles.values())
    for (const [role, keys] of edgesOf(delegations, files)) {
      const file = files.get(role);
      if (file === undefined || roles.has(role)) continue;
      const why = refusalOf(crypto, file, keys, role);
      if (why === undefined) roles.set(role, file);
      else refused.set(role, why);
    }
  // Of several who delegate to it, one whose keys signed it is enough.
  for (const role of roles.keys()) refused.delete(role);
  return { roles, refused };
}

function* edgesOf(
  delegations: Delegations | undefined,
  files: ReadonlyMap<string, Targets>,
): Generator<readonly [string, DelegatedKeys]> {
  for (const role of delegations?.roles ?? []) yield [role.name, role];
  const succinct = delegations?.succinct;
  if (succinct === undefined) return;
  for (const name of files.keys()) if (isBin(succinct, name)) yield [name, succinct];
}

/** TUF 5.6.3: a threshold of the keys that the delegator names; undefined when they signed it. */
function refusalOf(
  crypto: Crypto,
  { envelope }: Targets,
  keys: DelegatedKeys,
  role: string,
): string | undefined {
  try {
    verifyThreshold(crypto, envelope, keys.table, keys, role);
    return undefined;
  } catch (error) {
    if (!isIronError(error, 'E_THRESHOLD')) throw error;
    return `${error.code}: ${error.message}`;
  }
}
