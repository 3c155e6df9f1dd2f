/** RSA keys and the DER around them, for the tests of what is refused. */

import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  generatePrimeSync,
  type KeyObject,
  privateEncrypt,
} from 'node:crypto';
import { concatBytes, fromHex } from '../../shared/bytes.ts';
import { keyFromSpki, type PublicKey } from '../../shared/crypto/key.ts';

export interface RsaPair {
  readonly privateKey: KeyObject;
  readonly der: Uint8Array;
  readonly key: PublicKey;
  readonly modulus: bigint;
  readonly bits: number;
}

export function rsaPair(bits: number, exponent = 65_537): RsaPair {
  const privateKey =
    bits % 2 === 0
      ? generateKeyPairSync('rsa', { modulusLength: bits, publicExponent: exponent }).privateKey
      : oddPair(bits, BigInt(exponent));
  const publicKey = createPublicKey(privateKey);
  const der = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
  const { n = '' } = publicKey.export({ format: 'jwk' });
  const modulus = BigInt(`0x${Buffer.from(n, 'base64url').toString('hex')}`);
  return { privateKey, der, key: keyFromSpki('rsassa-pss-sha256', der), modulus, bits };
}

/** The platform makes keys of an even number of bits only. */
function oddPair(bits: number, e: bigint): KeyObject {
  for (;;) {
    const [p, q] = [(bits + 1) / 2, (bits - 1) / 2].map((size) =>
      generatePrimeSync(size, { bigint: true }),
    ) as [bigint, bigint];
    if ((p * q).toString(2).length !== bits || (p - 1n) % e === 0n || (q - 1n) % e === 0n) continue;
    const d = inverse(e, (p - 1n) * (q - 1n));
    const numbers = { n: p * q, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) };
    const jwk = Object.entries(numbers).map(([name, value]) => [
      name,
      Buffer.from(numberBytes(value)).toString('base64url'),
    ]);
    return createPrivateKey({ key: { kty: 'RSA', ...Object.fromEntries(jwk) }, format: 'jwk' });
  }
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [value % modulus, modulus, 1n, 0n];
  while (a !== 1n) [a, b, x, y] = [b % a, a, y - (b / a) * x, x];
  return ((x % modulus) + modulus) % modulus;
}

/** `base` to the power of `exponent`: the public operation, for looking into a signature. */
export function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (const bit of exponent.toString(2))
    result = (result * result * (bit === '1' ? base : 1n)) % modulus;
  return result;
}

export function bytesNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}

export function numberBytes(value: bigint, length?: number): Uint8Array {
  const hex = value.toString(16);
  const whole = hex.padStart(
    length === undefined ? hex.length + (hex.length % 2) : 2 * length,
    '0',
  );
  return fromHex(whole);
}

/** One element: its tag, its length as DER has it, its parts. */
export function tlv(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const value = concatBytes(...parts);
  const length = value.length.toString(16).padStart(value.length < 0x100 ? 2 : 4, '0');
  const head = value.length < 0x80 ? '' : (0x80 + length.length / 2).toString(16);
  return concatBytes(Uint8Array.of(tag), fromHex(head + length), value);
}

/** An INTEGER of zero or more. */
export function integer(value: bigint): Uint8Array {
  const bytes = numberBytes(value);
  return (bytes[0] ?? 0) < 0x80 ? tlv(2, bytes) : tlv(2, Uint8Array.of(0), bytes);
}

export const ALGORITHM = fromHex('300d06092a864886f70d0101010500');

/** A SubjectPublicKeyInfo around whatever is given instead of modulus and exponent. */
export function spki(...numbers: Uint8Array[]): Uint8Array {
  return tlv(0x30, ALGORITHM, tlv(3, Uint8Array.of(0), tlv(0x30, ...numbers)));
}

/** What an EMSA-PSS encoding may get wrong. */
export interface Encoding {
  readonly salt?: number;
  readonly hash?: string;
  readonly maskHash?: string;
  readonly trailer?: number;
  /** Changes the data block before it is masked. */
  readonly block?: (block: Uint8Array) => void;
  /** Changes the encoded message before it is signed. */
  readonly encoded?: (encoded: Uint8Array) => void;
}

/** EMSA-PSS-ENCODE (RFC 8017 9.1.1), with the mistakes that are asked for, and RSASP1. */
export function signEncoded(pair: RsaPair, message: Uint8Array, wrong: Encoding = {}): Uint8Array {
  const { salt: saltLength = 32, hash: name = 'sha256', maskHash = 'sha256' } = wrong;
  const hash = (...parts: Uint8Array[]): Uint8Array =>
    createHash(name)
      .update(concatBytes(...parts))
      .digest();
  const length = Math.ceil((pair.bits - 1) / 8);
  const salt = new Uint8Array(saltLength).fill(0x5a);
  const digest = hash(new Uint8Array(8), hash(message), salt);
  const block = new Uint8Array(length - digest.length - 1);
  block[block.length - saltLength - 1] = 0x01;
  block.set(salt, block.length - saltLength);
  wrong.block?.(block);
  const masked = block.map((byte, i) => byte ^ (mask(maskHash, digest, block.length)[i] as number));
  masked[0] = (masked[0] as number) & (0xff >> (8 * length - (pair.bits - 1)));
  const encoded = concatBytes(masked, digest, Uint8Array.of(wrong.trailer ?? 0xbc));
  wrong.encoded?.(encoded);
  return signRaw(pair, encoded);
}

/** The private operation on a number as it is. */
export function signRaw(pair: RsaPair, representative: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil(pair.bits / 8));
  padded.set(representative, padded.length - representative.length);
  const key = { key: pair.privateKey, padding: constants.RSA_NO_PADDING };
  return new Uint8Array(privateEncrypt(key, padded));
}

function mask(name: string, seed: Uint8Array, length: number): Uint8Array {
  let whole: Uint8Array = new Uint8Array();
  for (let counter = 0; whole.length < length; counter++) {
    const tail = Uint8Array.of(0, 0, 0, counter);
    whole = concatBytes(whole, createHash(name).update(concatBytes(seed, tail)).digest());
  }
  return whole.subarray(0, length);
}
