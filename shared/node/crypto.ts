/** The platform's form of `Crypto`: OpenSSL through node:crypto. */

import { constants, createPublicKey, hash, type KeyObject, verify } from 'node:crypto';
import type { Crypto } from '../crypto/crypto.ts';
import { isSmallOrder, keyToSpki, type PublicKey } from '../crypto/key.ts';
import { verifyMlDsa } from './ml-dsa.ts';

/** Parsed once a key: parsing costs as much as verifying. */
const keyObjects = new WeakMap<PublicKey, KeyObject>();

export const platformCrypto: Crypto = {
  sha256: (data) => hash('sha256', data, 'buffer'),
  sha512: (data) => hash('sha512', data, 'buffer'),
  verify(key, message, signature) {
    try {
      // Some releases of Node and OpenSSL look for this themselves, others let it pass.
      if (
        key.scheme === 'ed25519' &&
        (signature.length !== 64 || isSmallOrder(signature.subarray(0, 32)))
      ) {
        return false;
      }
      switch (key.scheme) {
        case 'ed25519':
          return verify(null, message, keyObject(key), signature);
        case 'ecdsa-sha2-nistp256':
          return verify('sha256', message, keyObject(key), signature);
        case 'ecdsa-sha2-nistp384':
          return verify('sha384', message, keyObject(key), signature);
        case 'rsassa-pss-sha256':
          return verifyRsaPss(keyObject(key), message, signature);
        case 'ml-dsa-44':
        case 'ml-dsa-65':
        case 'ml-dsa-87':
          return verifyMlDsa(key.scheme, key.bytes, () => keyObject(key), message, signature);
      }
    } catch {
      // Points that are not on the curve: a key that verifies nothing.
      return false;
    }
  },
};

function keyObject(key: PublicKey): KeyObject {
  let object = keyObjects.get(key);
  if (object === undefined) {
    object = createKeyObject(key);
    keyObjects.set(key, object);
  }
  return object;
}

function createKeyObject(key: PublicKey): KeyObject {
  if (key.scheme === 'ed25519') {
    // RFC 8037: the same 32 bytes, without OpenSSL's search for whoever decodes DER (half a
    // millisecond of a short command, for the first key).
    const x = Buffer.from(key.bytes).toString('base64url');
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  }
  return createPublicKey({ key: Buffer.from(keyToSpki(key)), format: 'der', type: 'spki' });
}

function verifyRsaPss(key: KeyObject, message: Uint8Array, signature: Uint8Array): boolean {
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  // RFC 8017 8.1.2 step 1; OpenSSL alone would take a signature without its leading zeros.
  if (signature.length !== Math.ceil(bits / 8)) return false;
  const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_AUTO: saltLength } = constants;
  return verify('sha256', message, { key, padding, saltLength }, signature);
}
