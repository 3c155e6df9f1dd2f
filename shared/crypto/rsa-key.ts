/**
 * RSA public keys: SubjectPublicKeyInfo (RFC 5280 4.1) with rsaEncryption (RFC 8017 A.1), read as
 * DER and nothing else, so that one key has one spelling. `PublicKey.bytes` of an RSA key is its
 * RSAPublicKey: `SEQUENCE { modulus INTEGER, publicExponent INTEGER }`.
 */

import { concatBytes, equalBytes, fromHex, toHex } from '../bytes.ts';
import { IronError } from '../errors.ts';
import { RSA_LIMITS } from '../limits.ts';

export interface RsaNumbers {
  readonly modulus: bigint;
  readonly exponent: bigint;
  /** Length of the modulus. */
  readonly bits: number;
}

const TAG = { integer: 0x02, bitString: 0x03, sequence: 0x30 } as const;

/** RFC 8017 A.1, RFC 3279 2.3.1: rsaEncryption, whose parameters must be NULL and be there. */
const ALGORITHM = fromHex('300d06092a864886f70d0101010500');

/** The RSAPublicKey inside a SubjectPublicKeyInfo. `E_KEY` when it is malformed, weak or huge. */
export function rsaFromSpki(der: Uint8Array): Uint8Array {
  const info = new Der(der).only(TAG.sequence);
  if (!equalBytes(info.take(ALGORITHM.length), ALGORITHM))
    throw malformed('the algorithm is not rsaEncryption');
  const bits = info.only(TAG.bitString);
  // X.690 11.2.1: the octet before the bits counts the unused ones; there are none here.
  if (bits.take(1)[0] !== 0) throw malformed('the bit string has unused bits');
  const bytes = Uint8Array.from(bits.rest());
  rsaNumbers(bytes);
  return bytes;
}

/** The SubjectPublicKeyInfo around an RSAPublicKey. */
export function rsaToSpki(bytes: Uint8Array): Uint8Array {
  const bits = concatBytes(Uint8Array.of(0), bytes);
  return encode(TAG.sequence, ALGORITHM, encode(TAG.bitString, bits));
}

/** The numbers of an RSAPublicKey, which it checks. `E_KEY` */
export function rsaNumbers(bytes: Uint8Array): RsaNumbers {
  const key = new Der(bytes).only(TAG.sequence);
  const modulus = key.unsigned();
  const exponent = key.unsigned();
  if (key.rest().length > 0) throw malformed('something follows the exponent');
  const bits = modulus.toString(2).length;
  if (bits < RSA_LIMITS.minimumModulusBits)
    throw new IronError('E_KEY', `an RSA key of ${bits} bits, which is too few`);
  if (bits > RSA_LIMITS.maximumModulusBits)
    throw new IronError('E_KEY', `an RSA key of ${bits} bits, which is too many`);
  // RFC 8017 3.1: a product of odd primes.
  if (modulus % 2n === 0n) throw new IronError('E_KEY', 'an RSA key whose modulus is even');
  if (exponent < RSA_LIMITS.minimumExponent)
    throw new IronError('E_KEY', `an RSA key with the exponent ${exponent}, which is too small`);
  if (exponent > RSA_LIMITS.maximumExponent)
    throw new IronError('E_KEY', 'an RSA key whose exponent is too large');
  // RFC 8017 3.1: coprime to lambda(n), which is even.
  if (exponent % 2n === 0n) throw new IronError('E_KEY', 'an RSA key whose exponent is even');
  return { modulus, exponent, bits };
}

/** A cursor over DER (X.690), for the few forms that occur in an RSA key. */
class Der {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at) throw malformed('it ends too early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  rest(): Uint8Array {
    return this.take(this.#bytes.length - this.#at);
  }

  /** What is inside the element that stands here. */
  #value(tag: number): Uint8Array {
    if (this.take(1)[0] !== tag)
      throw malformed(`no element with the tag ${tag} where one must be`);
    return this.take(this.#length());
  }

  /** What is inside the element that stands here, after which there must be nothing. */
  only(tag: number): Der {
    const value = this.#value(tag);
    if (this.rest().length > 0) throw malformed('something follows an element that must be last');
    return new Der(value);
  }

  /** X.690 10.1: definite, and in as few octets as possible. Two of them are more than enough. */
  #length(): number {
    const [first = 0] = this.take(1);
    if (first < 0x80) return first;
    if (first !== 0x81 && first !== 0x82) throw malformed('a length of a form that is refused');
    const length = this.take(first - 0x80).reduce((sum, byte) => sum * 256 + byte, 0);
    if (length < (first === 0x81 ? 0x80 : 0x100)) throw malformed('a length with leading zeros');
    return length;
  }

  /** An INTEGER of zero or more (X.690 8.3). */
  unsigned(): bigint {
    const value = this.#value(TAG.integer);
    const [first, second = 0] = value;
    if (first === undefined) throw malformed('an integer without octets');
    if (first >= 0x80) throw malformed('a negative integer');
    // X.690 8.3.2: the first nine bits are not all zero.
    if (first === 0 && value.length > 1 && second < 0x80)
      throw malformed('an integer with leading zeros');
    return BigInt(`0x${toHex(value)}`);
  }
}

function encode(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const value = concatBytes(...parts);
  const { length } = value;
  const octets =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return concatBytes(Uint8Array.of(tag, ...octets), value);
}

function malformed(why: string): IronError {
  return new IronError('E_KEY', `not the SubjectPublicKeyInfo of an RSA key: ${why}`);
}
