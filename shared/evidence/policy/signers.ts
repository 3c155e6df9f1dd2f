/** The keys that the names of a policy mean, and the names that it has for keys. */

import type { Crypto } from '../../crypto/crypto.ts';
import { keyIdentity, type PublicKey } from '../../crypto/key.ts';
import { keyId, shortKeyId } from '../../tuf/key.ts';
import type { EvidenceKeys } from '../keys.ts';
import { VENDOR } from './quorum.ts';

export class Signers {
  readonly #crypto: Crypto;
  readonly #vendor: readonly PublicKey[];
  readonly #others: ReadonlyMap<string, PublicKey>;

  /** `others` are the keys of the policy, by the names that it gives them. */
  constructor(crypto: Crypto, vendor: EvidenceKeys, others: ReadonlyMap<string, PublicKey>) {
    this.#crypto = crypto;
    this.#vendor = [...vendor.active, ...vendor.retired];
    this.#others = others;
  }

  /** Those of `keys` that these names mean. */
  among(keys: readonly PublicKey[], names: readonly string[]): PublicKey[] {
    const meant = names.flatMap((name) =>
      name === VENDOR ? this.#vendor : (this.#others.get(name) ?? []),
    );
    const identities = new Set(meant.map(keyIdentity));
    return keys.filter((key) => identities.has(keyIdentity(key)));
  }

  /** Keys by the names that the policy has for them, and so that they are found elsewhere too. */
  names(keys: Iterable<PublicKey>): string {
    const names = new Map([...this.#others].map(([name, key]) => [keyIdentity(key), name]));
    return [...keys]
      .map((key) => {
        const name = names.get(keyIdentity(key)) ?? VENDOR;
        return `${name} (${key.scheme} ${shortKeyId(keyId(this.#crypto, key))})`;
      })
      .join(', ');
  }
}
