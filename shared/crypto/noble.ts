/** The pure form of `Crypto`, over noble: for the browser, and as a second opinion in tests. */

import { p256, p384 } from '@noble/curves/nist.js';
import * as ed from '@noble/ed25519';
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { ml_dsa44, ml_dsa65, ml_dsa87 } from '@noble/post-quantum/ml-dsa.js';
import { concatBytes, equalBytes } from '../bytes.ts';
import type { Crypto } from './crypto.ts';
import { isSmallOrder } from './key.ts';
import { verifyRsaPss } from './rsa-pss.ts';

/** Order of the base point of edwards25519 (RFC 8032 5.1). */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;

export const nobleCrypto: Crypto = {
  sha256: (data) => sha256(data),
  sha512: (data) => sha512(data),
  verify(key, message, signature) {
    try {
      switch (key.scheme) {
        case 'ed25519':
          return verifyEd25519(key.bytes, message, signature);
        case 'ecdsa-sha2-nistp256':
          return p256.verify(signature, sha256(message), key.bytes, {
            prehash: false,
            format: 'der',
            lowS: false,
          });
        case 'ecdsa-sha2-nistp384':
          return p384.verify(signature, sha384(message), key.bytes, {
            prehash: false,
            format: 'der',
            lowS: false,
          });
        case 'rsassa-pss-sha256':
          return verifyRsaPss(key.bytes, message, signature);
        case 'ml-dsa-44':
          return ml_dsa44.verify(signature, message, key.bytes);
        case 'ml-dsa-65':
          return ml_dsa65.verify(signature, message, key.bytes);
        case 'ml-dsa-87':
          return ml_dsa87.verify(signature, message, key.bytes);
      }
    } catch {
      // noble throws on malformed points and DER and on lengths; for a verifier all are just "no".
      return false;
    }
  },
};

/**
 * RFC 8032 5.1.7 without the cofactor: the encoding of [S]B - [k]A is compared with R's bytes, as
 * OpenSSL does. noble's own verify multiplies by the cofactor and would accept signatures of
 * mixed order that the platform refuses.
 */
function verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64) return false;
  const r = signature.subarray(0, 32);
  if (isSmallOrder(r)) return false;
  const s = littleEndian(signature.subarray(32));
  if (s >= L) return false;
  const a = ed.Point.fromBytes(publicKey, false);
  const k = littleEndian(sha512(concatBytes(r, publicKey, message))) % L;
  const sB = ed.Point.BASE.multiplyUnsafe(s);
  const kA = a.multiplyUnsafe(k);
  return equalBytes(sB.add(kA.negate()).toBytes(), r);
}

function littleEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] as number);
  return value;
}
