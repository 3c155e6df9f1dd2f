/** How far the collecting of signatures on a file has come: whose count, how many are there. */

import type { Crypto } from '../crypto/crypto.ts';
import { isIronError } from '../errors.ts';
import type { RoleFile } from './diff/trust-diff.ts';
import type { Envelope } from './envelope.ts';
import { type KeyTable, type RoleKeys, verifyThreshold } from './role.ts';
import type { Root } from './root.ts';

/** Whose signatures a file needs, and how many of them. */
export interface Demand {
  /** `the keys of root 3` */
  readonly by: string;
  readonly keys: KeyTable;
  readonly role: RoleKeys;
}

/** One demand, and how many of its keys signed. */
export interface Standing {
  readonly by: string;
  readonly have: number;
  readonly need: number;
}

export function isComplete(standings: readonly Standing[]): boolean {
  return standings.every(({ have, need }) => have >= need);
}

/**
 * What a root or targets file needs. A root must be signed by its own keys and by those of the root
 * before it (TUF 5.3.4); targets by the keys that the root gives them. Empty when `root`, which
 * says so, is not there.
 */
export function demandsOf(file: RoleFile, root: Root | undefined): Demand[] {
  if (file.type === 'targets') {
    if (root === undefined) return [];
    const by = `root ${root.version}'s targets keys`;
    return [{ by, keys: root.keys, role: root.roles.targets }];
  }
  const own = file.file;
  const demands = [{ by: 'its own root keys', keys: own.keys, role: own.roles.root }];
  if (root !== undefined && own.version > 1)
    demands.push({
      by: `the keys of root ${root.version}`,
      keys: root.keys,
      role: root.roles.root,
    });
  return demands;
}

/** Key ids of those that signed, of the keys that one demand counts; each key once. */
export function signedBy(crypto: Crypto, envelope: Envelope, { keys, role }: Demand): string[] {
  try {
    // By the one function that counts them everywhere.
    return verifyThreshold(crypto, envelope, keys, { ...role, threshold: 1 }, 'the file');
  } catch (error) {
    if (isIronError(error, 'E_THRESHOLD')) return [];
    throw error;
  }
}

export function standingOf(crypto: Crypto, envelope: Envelope, demand: Demand): Standing {
  const have = signedBy(crypto, envelope, demand).length;
  return { by: demand.by, have, need: demand.role.threshold };
}

/** How far `file` is signed; `root` as for `demandsOf`. */
export function standingsOf(crypto: Crypto, file: RoleFile, root: Root | undefined): Standing[] {
  const { envelope } = file.file;
  return demandsOf(file, root).map((demand) => standingOf(crypto, envelope, demand));
}

/** `2 of the 2 signatures needed by its own root keys`, a line each. */
export function standingText(standings: readonly Standing[]): string {
  return standings
    .map(({ by, have, need }) => `${have} of the ${need} signatures needed by ${by}`)
    .join('\n');
}
