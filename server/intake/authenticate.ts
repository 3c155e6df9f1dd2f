/** Whose request it is: by the API keys that the operators' signed targets list. */

import { type RequestHead, verifyRequest } from '../../shared/api/http-signature.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { keyIdentity, type PublicKey } from '../../shared/crypto/key.ts';
import { IronError } from '../../shared/errors.ts';
import type { Denial } from '../../shared/revocation/list.ts';
import type { Instant } from '../../shared/time.ts';
import { keyId } from '../../shared/tuf/key.ts';
import type { Vendor } from '../../shared/tuf/vendors.ts';
import type { Nonces } from '../db/nonces.ts';

/** Vendors by the ids of their API keys, as one set of signed targets lists them. */
export interface ApiKeys {
  readonly keys: ReadonlyMap<string, PublicKey>;
  readonly owners: ReadonlyMap<string, string>;
  /** Those of all keys that the list of revocations denies, each with its reason. */
  readonly denied: ReadonlyMap<string, Denial>;
}

/** A key that two vendors list stands for neither: nobody could say whose request it signed. */
export function apiKeysOf(
  crypto: Crypto,
  vendors: Iterable<Vendor>,
  denied: ReadonlyMap<string, Denial> = new Map(),
): ApiKeys {
  const keys = new Map<string, PublicKey>();
  const owners = new Map<string, string>();
  const claims = new Map<string, Set<string>>();
  for (const { name, apiKeys } of vendors) {
    for (const key of apiKeys) {
      const names = claims.get(keyIdentity(key)) ?? new Set();
      claims.set(keyIdentity(key), names.add(name));
      keys.set(keyId(crypto, key), key);
      owners.set(keyId(crypto, key), name);
    }
  }
  for (const [keyid, key] of keys) {
    if (claims.get(keyIdentity(key))?.size === 1) continue;
    keys.delete(keyid);
    owners.delete(keyid);
  }
  return { keys, owners, denied };
}

/** The vendor that signed the request. `E_UNAUTHENTICATED`, `E_REPLAY`. */
export function authenticate(
  crypto: Crypto,
  head: RequestHead,
  { keys, owners, denied }: ApiKeys,
  nonces: Nonces,
  now: Instant,
): string {
  const request = verifyRequest(crypto, head, keys, now);
  const owner = owners.get(request.keyid);
  if (owner === undefined) throw new IronError('E_INTERNAL', 'a key without an owner verified');
  const denial = denied.get(request.keyid);
  // A denied key counts nowhere. Who holds it could bring nothing to the hosts, and see what waits.
  if (denial !== undefined)
    throw new IronError('E_UNAUTHENTICATED', `the API key ${request.keyid} is denied`, {
      why: denial.reason,
      hint: 'nothing was changed; make a new one (`ironport rotate-keys --list api`), and have the operators put it in place',
      context: { reason: 'key' },
    });
  // After the signature, so that strangers cannot fill the memory of nonces.
  nonces.take(request, now);
  return owner;
}
