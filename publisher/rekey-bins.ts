/**
 * Bins go over from old keys to new ones in steps, where more must be signed than one change that waits can
 * hold (ADR 0084). The role alone changes in the first step and in the last: first the old keys and the new
 * ones both may sign its bins; then `renew` has each bin signed by the new ones, in as many changes as it
 * takes; and then only the new ones may. Whoever reads in between finds every bin signed by keys that count.
 */

import { keyIdentity, type PublicKey } from '../shared/crypto/key.ts';
import { IronError, isIronError } from '../shared/errors.ts';
import { PUBLISHER_LIMITS } from '../shared/limits.ts';
import { beside } from '../shared/node/beside.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import { binNames, type DelegatedKeys, type SuccinctRoles } from '../shared/tuf/delegations.ts';
import { keyIdentities, verifyThreshold } from '../shared/tuf/role.ts';
import type { Targets } from '../shared/tuf/targets.ts';
import type { Base } from './rebase/base.ts';
import { loadBelow } from './rebase/below.ts';
import type { Session } from './session.ts';
import { RepositoryFetcher } from './upload/fetcher.ts';
import { fitsOneChange } from './upload/pending.ts';

/** Who is to sign bins. */
export interface Signing {
  readonly keys: readonly PublicKey[];
  readonly threshold: number;
}

/** All bins of a role as they are published. */
export interface Survey {
  readonly targets: number;
  /** Whether all of them, and their role, can wait as one change. */
  readonly fits: boolean;
  /** Those that lack signatures of the keys that are to sign them in the end. */
  readonly unsigned: readonly string[];
}

/** More than signatures and what is around them add to what is signed. */
const AROUND = 2048;

/** Reads every bin, each verified by the keys that are published, and keeps none. */
export async function surveyBins(
  session: Session,
  base: Base,
  bins: SuccinctRoles,
  wanted: Signing,
): Promise<Survey> {
  const fetcher = new RepositoryFetcher(session.repository);
  const keys = among(bins, wanted);
  const names = binNames(bins);
  const unsigned: string[] = [];
  let targets = 0;
  let bytes = 0;
  for (let at = 0; at < names.length; at += PUBLISHER_LIMITS.binsAtOnce)
    await beside(names.slice(at, at + PUBLISHER_LIMITS.binsAtOnce), async (name) => {
      const file = await loadBelow(crypto, fetcher, base, bins, name);
      targets += file.paths().length;
      bytes += file.envelope.signedBytes().length + AROUND;
      if (!isSigned(file, keys, name)) unsigned.push(name);
    });
  return { targets, fits: fitsOneChange(names.length + 1, bytes + AROUND), unsigned };
}

/** Those of the keys that may sign the bins now. */
function among(bins: SuccinctRoles, { keys, threshold }: Signing): DelegatedKeys {
  const wanted = new Set(keys.map(keyIdentity));
  const keyids = bins.keyids.filter((id) => {
    const key = bins.table.get(id)?.publicKey;
    return key !== undefined && wanted.has(keyIdentity(key));
  });
  return { keyids, threshold, table: bins.table };
}

function isSigned({ envelope }: Targets, keys: DelegatedKeys, name: string): boolean {
  try {
    verifyThreshold(crypto, envelope, keys.table, keys, name);
    return true;
  } catch (error) {
    if (!isIronError(error, 'E_THRESHOLD')) throw error;
    return false;
  }
}

/**
 * Who may sign the bins from the next version of their role on, and what comes then. `E_THRESHOLD` when
 * bins lack signatures of the new keys still, or more keys are to sign than did before.
 */
export function nextSigning(
  bins: SuccinctRoles,
  wanted: Signing,
  { unsigned }: Survey,
): Signing & { readonly after: string } {
  const { keys, threshold } = wanted;
  if (threshold > bins.threshold)
    throw new IronError(
      'E_THRESHOLD',
      `${threshold} keys are to sign each bin, where ${bins.threshold} did`,
      {
        why: 'so many bins go over to new keys in steps, and until each is signed again it holds by no more keys than signed it',
        hint: 'nothing was signed; sign where all the keys are, or in fewer bins',
      },
    );
  const named = keyIdentities(bins.table, bins);
  if (!keys.every((key) => named.has(keyIdentity(key)))) {
    const old = bins.keyids.flatMap((id) => bins.table.get(id)?.publicKey ?? []);
    return {
      ...{ keys: [...keys, ...old], threshold },
      after:
        'when it is published, the old keys and the new ones both may sign the bins: `ironport renew` has them signed by the new ones, as many at a time as may wait; then `ironport split`, as now, takes the old ones away',
    };
  }
  if (unsigned.length > 0)
    throw new IronError('E_THRESHOLD', `${unsigned.length} bins lack signatures of the new keys`, {
      why: `readers would refuse ${[...unsigned].sort().slice(0, 3).join(', ')}${unsigned.length > 3 ? ' and others' : ''}`,
      hint: 'nothing was signed; `ironport renew` has them signed, as many at a time as may wait',
      context: { bins: unsigned.length },
    });
  return { keys, threshold, after: 'when it is published, the old keys sign no bin any more' };
}
