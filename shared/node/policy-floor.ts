/** Where a host keeps the floor of its policy. */

import { IronError, isIronError } from '../errors.ts';
import {
  formatPolicyFloor,
  isAboveFloor,
  type PolicyFloor,
  parsePolicyFloor,
  verifyPolicyFloor,
} from '../evidence/policy/policy-floor.ts';
import { STORE_LIMITS } from '../limits.ts';
import { isOtherKind, readFileCapped, writeFileAtomic } from './files.ts';
import type { LoadedPolicy } from './host-policy.ts';

/**
 * Holds a policy against the floor at `place`, which stays as it is. A policy that nobody signed is
 * its operator's own file, and has none. `E_ROLLBACK`, `E_POLICY`; `E_STORE` on a damaged floor.
 */
export async function checkPolicyFloor(
  place: string,
  loaded: LoadedPolicy | undefined,
): Promise<void> {
  const offered = signed(loaded);
  if (offered !== undefined) verifyPolicyFloor(await readFloor(place), offered);
}

/**
 * The same, and makes a newer policy the floor, durably, whatever it then takes or refuses. The caller
 * holds the lock under which that file is written.
 */
export async function raisePolicyFloor(
  place: string,
  loaded: LoadedPolicy | undefined,
): Promise<void> {
  const offered = signed(loaded);
  if (offered === undefined) return;
  const floor = await readFloor(place);
  verifyPolicyFloor(floor, offered);
  if (!isAboveFloor(floor, offered)) return;
  await writeFileAtomic(place, formatPolicyFloor(offered), { mode: 0o600 });
}

function signed(loaded: LoadedPolicy | undefined): PolicyFloor | undefined {
  if (loaded === undefined || loaded.signedBy.length === 0) return undefined;
  const { epoch, version } = loaded.policy;
  return { epoch, version, sha256: loaded.sha256 };
}

async function readFloor(place: string): Promise<PolicyFloor | undefined> {
  try {
    return parsePolicyFloor(await readFileCapped(place, STORE_LIMITS.note, { nofollow: true }));
  } catch (cause) {
    if (isIronError(cause, 'E_NOT_FOUND')) return undefined;
    const isDamage = isIronError(cause, 'E_JSON', 'E_SCHEMA', 'E_TOO_LARGE') || isOtherKind(cause);
    if (!isDamage) throw cause;
    throw new IronError('E_STORE', `${place} is damaged`, {
      cause,
      why: cause.why ?? cause.message,
      hint: 'nothing was changed; restore the file, or remove it: that forgets which policies were seen',
      context: { path: place },
    });
  }
}
