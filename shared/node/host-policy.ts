/** The policy of this host, from the places where its operators put it. */

import { constants } from 'node:fs';
import { getuid } from 'node:process';
import { toHex } from '../bytes.ts';
import type { Crypto } from '../crypto/crypto.ts';
import { IronError, isIronError } from '../errors.ts';
import type { HostPolicy } from '../evidence/policy/host-policy.ts';
import { type FleetKeys, openPolicy, parseFleetKeys } from '../evidence/policy/signed-policy.ts';
import { hostFiles } from '../layout.ts';
import { POLICY_LIMITS } from '../limits.ts';
import { keyId } from '../tuf/key.ts';
import { onPath } from './file-system.ts';
import { openRegular, readOpenCapped } from './files.ts';

export interface LoadedPolicy {
  readonly policy: HostPolicy;
  readonly path: string;
  /** The file as it lies there, envelope included. */
  readonly file: Uint8Array;
  /** SHA-256 of the policy itself, which is what was signed. */
  readonly sha256: string;
  readonly signedBy: readonly string[];
  readonly fleetKeys: Uint8Array | undefined;
}

export interface PolicyPlaces {
  /** Named by the user: must be there. */
  readonly policy?: string | undefined;
  readonly fleetKeys?: string | undefined;
}

/**
 * The policy, or undefined for the default of a host that has none. A host with keys of its fleet
 * and without a policy takes nothing (`E_POLICY`): whoever removed the one would have removed the
 * rules. `E_CONFIG` on files that others can write, or that cannot be read as what they are.
 */
export async function loadHostPolicy(
  crypto: Crypto,
  places: PolicyPlaces,
): Promise<LoadedPolicy | undefined> {
  const keysFile = await readOwned(places.fleetKeys, hostFiles.fleetKeys);
  const fleet: FleetKeys | undefined = keysFile && parseFleetKeys(keysFile);
  const path = places.policy ?? hostFiles.policy;
  const file = await readOwned(places.policy, hostFiles.policy);
  if (file === undefined) {
    if (fleet === undefined) return undefined;
    throw new IronError('E_POLICY', `this host has keys of its fleet and no policy`, {
      why: `there is no ${path}, and without rules nothing can be judged by them`,
      hint: 'nothing was changed; ask the operators of the fleet for the signed policy',
      context: { reason: 'policy-missing' },
    });
  }
  const { policy, bytes, keys } = openPolicy(crypto, file, fleet);
  return {
    policy,
    path,
    file,
    sha256: toHex(crypto.sha256(bytes)),
    signedBy: keys.map((key) => keyId(crypto, key)),
    fleetKeys: keysFile,
  };
}

/** A file that nobody but root, or who runs this, can have written. */
export async function readOwned(
  given: string | undefined,
  usual: string,
): Promise<Uint8Array | undefined> {
  const path = given ?? usual;
  const file = await openRegular(path).catch((error) => {
    if (given === undefined && isIronError(error, 'E_NOT_FOUND')) return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    const { uid, mode } = await onPath(path, () => file.stat());
    const isOurs = uid === 0 || uid === getuid?.();
    if (!isOurs || (mode & (constants.S_IWGRP | constants.S_IWOTH)) !== 0) {
      throw new IronError('E_CONFIG', `${path} can be written by others`, {
        why: isOurs ? `its mode is ${(mode & 0o777).toString(8)}` : `its owner is user ${uid}`,
        hint: 'nothing was changed; let root own it, and take the right to write from all others',
        context: { path },
      });
    }
    return await readOpenCapped(file, path, 2 * POLICY_LIMITS.file);
  } finally {
    await file.close();
  }
}
