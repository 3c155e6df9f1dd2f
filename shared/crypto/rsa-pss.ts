/**
 * Verification of RSASSA-PSS with SHA-256 and MGF1 with SHA-256 (RFC 8017 section 8.1.2), for
 * where there is no platform to do it. Only public values pass through here, and so nothing has to
 * take the same time for all of them.
 *
 * The salt may have any length: signers of the field use 32 bytes or the most that fit, and what
 * a verifier loses by reading the length from the encoding instead of demanding one is nothing.
 */

import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, equalBytes, fromHex, toHex } from '../bytes.ts';
import { rsaNumbers } from './rsa-key.ts';

const HASH_LENGTH = 32;

/** Whether `signature` is one by `key`, an RSAPublicKey that was checked when it was parsed. */
export function verifyRsaPss(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const { modulus, exponent, bits } = rsaNumbers(key);
  // 8.1.2 step 1: exactly as long as the modulus, leading zeros included.
  if (signature.length !== Math.ceil(bits / 8)) return false;
  // 8.1.2 step 2.b, 5.2.2 step 1: the representative is below the modulus.
  const representative = BigInt(`0x${toHex(signature)}`);
  if (representative >= modulus) return false;
  // 8.1.2 step 2.c: one bit less than the modulus, and an octet less where that makes one.
  const encodedBits = bits - 1;
  const encoded = octets(power(representative, exponent, modulus), Math.ceil(encodedBits / 8));
  return encoded !== undefined && isEncodingOf(message, encoded, encodedBits);
}

/**
 * EMSA-PSS-VERIFY (RFC 8017 section 9.1.2). Step 1 cannot fail, since SHA-256 takes more than
 * exists; nor can step 3, since the smallest key has room for two digests.
 */
function isEncodingOf(message: Uint8Array, encoded: Uint8Array, encodedBits: number): boolean {
  // Step 2.
  const messageHash = sha256(message);
  // Step 4: the trailer.
  if (encoded[encoded.length - 1] !== 0xbc) return false;
  // Step 5.
  const blockLength = encoded.length - HASH_LENGTH - 1;
  const masked = encoded.subarray(0, blockLength);
  const hash = encoded.subarray(blockLength, -1);
  // Step 6: the bits that the encoding does not have are zero.
  const firstByte = 0xff >> (8 * encoded.length - encodedBits);
  if (((masked[0] as number) & ~firstByte) !== 0) return false;
  // Steps 7, 8 and 9.
  const mask = maskOf(hash, blockLength);
  const block = masked.map((byte, i) => byte ^ (mask[i] as number));
  block[0] = (block[0] as number) & firstByte;
  // Step 10: zeros, a one, and then the salt, of whatever length is left (step 11).
  const one = block.findIndex((byte) => byte !== 0);
  if (block[one] !== 0x01) return false;
  const salt = block.subarray(one + 1);
  // Steps 12, 13 and 14.
  return equalBytes(sha256(concatBytes(new Uint8Array(8), messageHash, salt)), hash);
}

/** MGF1 (RFC 8017 B.2.1). */
function maskOf(seed: Uint8Array, length: number): Uint8Array {
  const mask = new Uint8Array(Math.ceil(length / HASH_LENGTH) * HASH_LENGTH);
  for (let counter = 0; counter * HASH_LENGTH < length; counter++) {
    // A mask has far fewer than 2^16 blocks.
    const tail = Uint8Array.of(0, 0, counter >> 8, counter & 0xff);
    mask.set(sha256(concatBytes(seed, tail)), counter * HASH_LENGTH);
  }
  return mask.subarray(0, length);
}

/** I2OSP (RFC 8017 4.1); undefined when the number is too large for `length` octets. */
function octets(number: bigint, length: number): Uint8Array | undefined {
  const hex = number.toString(16).padStart(2 * length, '0');
  return hex.length > 2 * length ? undefined : fromHex(hex);
}

/** RSAVP1 (RFC 8017 5.2.2): `base` to the power of `exponent`, modulo `modulus`. */
function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (const bit of exponent.toString(2)) {
    result = (result * result) % modulus;
    if (bit === '1') result = (result * base) % modulus;
  }
  return result;
}
