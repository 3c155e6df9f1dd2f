/**
 * The cryptography that verifiers need, as one synchronous interface that is passed in: noble is
 * its pure form (browser, second opinion in tests), the platform's crypto its fast one. Both give
 * the same verdict on every vector; test/crypto holds them to it.
 */

import type { PublicKey } from './key.ts';

export interface Crypto {
  sha256(data: Uint8Array): Uint8Array;
  sha512(data: Uint8Array): Uint8Array;
  /**
   * Whether `signature` is one of `key` over `message`. Malformed signatures are false, never an
   * error: Ed25519 is 64 raw bytes (RFC 8032, cofactorless), ECDSA is DER (RFC 3279 2.2.3),
   * RSASSA-PSS is as long as the modulus and its salt has any length (RFC 8017 8.1.2), ML-DSA is
   * pure with an empty context (FIPS 204 Algorithm 3).
   */
  verify(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean;
}
