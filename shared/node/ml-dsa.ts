/**
 * ML-DSA where Node has it (24 with OpenSSL 3.5), and noble's where it has not. noble's is loaded
 * at the first signature that needs it: a program that meets none, or runs on a Node that has the
 * scheme, does not pay for it when it starts.
 */

import { type KeyObject, verify } from 'node:crypto';
import { createRequire } from 'node:module';
import type { MlDsaScheme } from '../crypto/key.ts';

let portable: typeof import('@noble/post-quantum/ml-dsa.js') | undefined;

/** Whether this Node verifies ML-DSA itself; found out once, with the first key. */
let native: boolean | undefined;

/** Whether `signature` is one over `message`, pure and with an empty context (FIPS 204, Alg. 3). */
export function verifyMlDsa(
  scheme: MlDsaScheme,
  publicKey: Uint8Array,
  keyObject: () => KeyObject,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  native ??= isNative(scheme, keyObject);
  return native
    ? verify(null, message, keyObject(), signature)
    : verifyPortably(scheme, publicKey, message, signature);
}

/** The same with noble. Throws on lengths that the scheme does not have. */
export function verifyPortably(
  scheme: MlDsaScheme,
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  // Verifying is synchronous and import() is not; require() takes such modules since Node 22.12.
  portable ??= createRequire(import.meta.url)(
    '@noble/post-quantum/ml-dsa.js',
  ) as typeof import('@noble/post-quantum/ml-dsa.js');
  const { ml_dsa44, ml_dsa65, ml_dsa87 } = portable;
  const set = { 'ml-dsa-44': ml_dsa44, 'ml-dsa-65': ml_dsa65, 'ml-dsa-87': ml_dsa87 }[scheme];
  return set.verify(signature, message, publicKey);
}

/** Every key of the right length is well formed, so one that is refused is one not known. */
function isNative(scheme: MlDsaScheme, keyObject: () => KeyObject): boolean {
  try {
    // An OpenSSL that knows the scheme under a Node that does not gives an object without a type.
    return (keyObject().asymmetricKeyType as string | undefined) === scheme;
  } catch {
    return false;
  }
}
