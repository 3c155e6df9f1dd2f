/** How far the collecting of signatures has come. */

import type { Crypto } from '../../shared/crypto/crypto.ts';
import { isIronError } from '../../shared/errors.ts';
import type { RoleFile } from '../../shared/tuf/diff/trust-diff.ts';
import type { Envelope } from '../../shared/tuf/envelope.ts';
import { type KeyTable, type RoleKeys, verifyThreshold } from '../../shared/tuf/role.ts';
import type { Root } from '../../shared/tuf/root.ts';

/** One demand on a file's signatures: by whose keys, how many are there, how many must be. */
export interface Standing {
  readonly by: string;
  readonly have: number;
  readonly need: number;
}

export function isComplete(standings: readonly Standing[]): boolean {
  return standings.every(({ have, need }) => have >= need);
}

/**
 * What `file` still needs. A root must be signed by its own keys and by those of the root before
 * it (TUF 5.3.4); targets by the keys that the root gives them. Empty when `root`, which says so,
 * is not there.
 */
export function standingsOf(crypto: Crypto, file: RoleFile, root: Root | undefined): Standing[] {
  const { envelope } = file.file;
  if (file.type === 'targets') {
    return root === undefined
      ? []
      : [
          standing(
            crypto,
            envelope,
            root.keys,
            root.roles.targets,
            `root ${root.version}'s targets keys`,
          ),
        ];
  }
  const own = file.file;
  const standings = [standing(crypto, envelope, own.keys, own.roles.root, 'its own root keys')];
  if (root !== undefined && own.version > 1)
    standings.push(
      standing(crypto, envelope, root.keys, root.roles.root, `the keys of root ${root.version}`),
    );
  return standings;
}

function standing(
  crypto: Crypto,
  envelope: Envelope,
  keys: KeyTable,
  role: RoleKeys,
  by: string,
): Standing {
  return { by, have: count(crypto, envelope, keys, role), need: role.threshold };
}

/** Distinct keys that signed, counted by the one function that counts them everywhere. */
function count(crypto: Crypto, envelope: Envelope, keys: KeyTable, role: RoleKeys): number {
  try {
    return verifyThreshold(crypto, envelope, keys, { ...role, threshold: 1 }, 'the file').length;
  } catch (error) {
    if (isIronError(error, 'E_THRESHOLD')) return 0;
    throw error;
  }
}

/** `2 of 2 signatures by its own root keys`, a line each. */
export function standingText(standings: readonly Standing[]): string {
  return standings
    .map(({ by, have, need }) => `${have} of the ${need} signatures needed by ${by}`)
    .join('\n');
}
