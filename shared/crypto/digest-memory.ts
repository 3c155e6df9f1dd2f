/**
 * Digests of bytes in memory that nobody writes into any more. A publication hashes the same snapshot again
 * and again: to hold it against what was signed, to know whether it was read before, to know its signatures.
 * Whoever makes such bytes says so (`settled`), and only of these is a digest remembered: by the very object, never
 * by a name or a place. So what is read from a disk again is hashed again: that reading is a check.
 */

import type { Crypto } from './crypto.ts';

/** Shorter ones are hashed as fast as they are looked up. */
const WORTH = 4096;

const untouched = new WeakSet<Uint8Array>();

/** Says that nobody writes into these bytes from now on, whoever holds them. */
export function settled<T extends Uint8Array | undefined>(bytes: T): T {
  if (bytes !== undefined && bytes.length >= WORTH) untouched.add(bytes);
  return bytes;
}

/** A `Crypto` that takes the SHA-256 of settled bytes once. */
export function rememberingDigests(crypto: Crypto): Crypto {
  const known = new WeakMap<Uint8Array, Uint8Array>();
  return {
    sha512: (data) => crypto.sha512(data),
    verify: (key, message, signature) => crypto.verify(key, message, signature),
    sha256(data) {
      if (!untouched.has(data)) return crypto.sha256(data);
      const digest = known.get(data) ?? crypto.sha256(data);
      known.set(data, digest);
      // A copy is the caller's own, to do with it what it likes.
      return new Uint8Array(digest);
    },
  };
}
