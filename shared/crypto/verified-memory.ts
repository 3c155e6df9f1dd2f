/**
 * Signatures that were found good. A publication meets the same ones again and again: as the service
 * that reads what stands, as each of the clients of preflight, and as intake before them. Whether a
 * signature is one of a key over a message is a function of these three alone; which keys count, how
 * many must sign, versions, hashes and expiry are verified by each of them as ever.
 */

import { toHex } from '../bytes.ts';
import type { Crypto } from './crypto.ts';
import { keyIdentity } from './key.ts';

/** Those that were met last: of what stands, of what follows it, and of what waits to be published. */
const KEPT = 2048;
/** Longer keys and signatures (RSA, ML-DSA) are verified each time: none of ours is one. */
const LONGEST = 128;

/** A `Crypto` that remembers what verified, by key, digest of the message and signature. */
export function rememberingVerified(crypto: Crypto): Crypto {
  /** Those that were met longest ago first. */
  const good = new Set<string>();
  return {
    sha256: (data) => crypto.sha256(data),
    sha512: (data) => crypto.sha512(data),
    verify(key, message, signature) {
      if (key.bytes.length > LONGEST || signature.length > LONGEST)
        return crypto.verify(key, message, signature);
      const name = `${keyIdentity(key)} ${toHex(crypto.sha256(message))} ${toHex(signature)}`;
      // What was not good is never remembered: it is nobody's usual case.
      if (!good.delete(name) && !crypto.verify(key, message, signature)) return false;
      good.add(name);
      const [oldest] = good;
      if (good.size > KEPT && oldest !== undefined) good.delete(oldest);
      return true;
    },
  };
}
