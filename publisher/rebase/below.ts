/**
 * The published roles below the vendor's own, bins and nested ones, each verified as the client
 * verifies it: listed by the verified snapshot, signed by the keys that the verified role of the vendor
 * names. One at a time: there may be thousands, and whoever renews them needs each only once.
 */

import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError } from '../../shared/errors.ts';
import type { DelegatedKeys } from '../../shared/tuf/delegations.ts';
import { verifyThreshold } from '../../shared/tuf/role.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { type Base, type Fetcher, fetchListed } from './base.ts';

/** `E_MIX_AND_MATCH` when the snapshot does not list it; an expired one is good to build on. */
export async function loadBelow(
  crypto: Crypto,
  fetcher: Fetcher,
  { trusted }: Pick<Base, 'trusted'>,
  keys: DelegatedKeys,
  role: string,
): Promise<Targets> {
  const listed = trusted.snapshot().roles.get(role);
  if (listed === undefined)
    throw new IronError('E_MIX_AND_MATCH', `the snapshot does not list the role ${role}`, {
      hint: 'nothing was sent; ask who runs the repository',
    });
  const file = await fetchListed(crypto, fetcher, listed, role); // TUF 5.6.2, 5.6.4
  verifyThreshold(crypto, file.envelope, keys.table, keys, role); // TUF 5.6.3
  return file;
}
