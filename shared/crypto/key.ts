/**
 * Public keys after their parsing: well formed, not weak, and comparable. Two texts of one key
 * (PEM with other line ends, another key id) become the same `PublicKey`, because thresholds
 * count keys and not their names.
 */

import { concatBytes, equalBytes, fromBase64, fromHex, toBase64, toHex } from '../bytes.ts';
import { IronError } from '../errors.ts';
import { rsaFromSpki, rsaToSpki } from './rsa-key.ts';

/** Schemes that our own tools make keys of and sign with. */
export type SigningScheme = 'ed25519' | 'ecdsa-sha2-nistp256' | 'ecdsa-sha2-nistp384';

export type MlDsaScheme = 'ml-dsa-44' | 'ml-dsa-65' | 'ml-dsa-87';

/** Schemes that we verify. */
export type Scheme = SigningScheme | 'rsassa-pss-sha256' | MlDsaScheme;

export interface PublicKey<S extends Scheme = Scheme> {
  readonly scheme: S;
  /**
   * Ed25519: the 32 bytes of RFC 8032. ECDSA: the uncompressed SEC 1 point, 65 or 97 bytes. RSA:
   * the DER of RFC 8017's RSAPublicKey. ML-DSA: pk of FIPS 204, 1312, 1952 or 2592 bytes.
   */
  readonly bytes: Uint8Array;
}

const SIGNING_SCHEMES: ReadonlySet<Scheme> = new Set<SigningScheme>([
  'ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
]);

/** Whether our own tools can sign with such a key, and not only verify. */
export function isSigningKey(key: PublicKey): key is PublicKey<SigningScheme> {
  return SIGNING_SCHEMES.has(key.scheme);
}

/** One text for one key, whatever ids it goes by. */
export function keyIdentity(key: PublicKey): string {
  return `${key.scheme}:${toHex(key.bytes)}`;
}

/**
 * An Ed25519 key of 32 bytes. Refuses encodings that are not canonical and points of small order
 * (`E_KEY`): for such a key libraries disagree about what verifies, and some "signatures" verify
 * for any message.
 */
export function ed25519Key(bytes: Uint8Array): PublicKey<'ed25519'> {
  if (bytes.length !== 32)
    throw new IronError('E_KEY', `an Ed25519 key has 32 bytes, not ${bytes.length}`);
  const y = Uint8Array.from(bytes);
  y[31] = (y[31] as number) & 0x7f;
  if (isAtLeastFieldPrime(y))
    throw new IronError('E_KEY', 'an Ed25519 key in an encoding that is not canonical');
  if (isSmallOrder(bytes)) throw new IronError('E_KEY', 'an Ed25519 key of small order');
  return { scheme: 'ed25519', bytes: Uint8Array.from(bytes) };
}

/**
 * Whether 32 bytes encode one of the eight points of small order. A verifier refuses them as R
 * too: RFC 8032 lets them pass, WebCrypto does not, platforms differ, and no honest signer's
 * nonce gives one.
 */
export function isSmallOrder(point: Uint8Array): boolean {
  const y = Uint8Array.from(point);
  y[31] = (y[31] as number) & 0x7f;
  return SMALL_ORDER_Y.has(toHex(y));
}

/** y coordinates (little-endian, sign bit clear) of the points of order 1, 2, 4 and 8. */
const SMALL_ORDER_Y: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
]);

/** Whether a little-endian number of 255 bits is 2^255 - 19 or more (RFC 8032 5.1.3, step 1). */
function isAtLeastFieldPrime(y: Uint8Array): boolean {
  return (
    y[31] === 0x7f && y.subarray(1, 31).every((byte) => byte === 0xff) && (y[0] as number) >= 0xed
  );
}

type FixedScheme = Exclude<Scheme, 'rsassa-pss-sha256'>;

/**
 * SubjectPublicKeyInfo up to the key itself, and the length of the key: where a scheme leaves
 * nothing open, DER is a fixed prefix. RFC 8410 4, RFC 5480 2.1, RFC 9881 4.
 */
const SPKI: Readonly<Record<FixedScheme, { readonly prefix: string; readonly key: number }>> = {
  ed25519: { prefix: '302a300506032b6570032100', key: 32 },
  'ecdsa-sha2-nistp256': {
    prefix: '3059301306072a8648ce3d020106082a8648ce3d030107034200',
    key: 65,
  },
  'ecdsa-sha2-nistp384': { prefix: '3076301006072a8648ce3d020106052b81040022036200', key: 97 },
  'ml-dsa-44': { prefix: '30820532300b06096086480165030403110382052100', key: 1312 },
  'ml-dsa-65': { prefix: '308207b2300b0609608648016503040312038207a100', key: 1952 },
  'ml-dsa-87': { prefix: '30820a32300b060960864801650304031303820a2100', key: 2592 },
};

/** A key from DER SubjectPublicKeyInfo of exactly the form that `scheme` has. `E_KEY` otherwise. */
export function keyFromSpki<S extends Scheme>(scheme: S, der: Uint8Array): PublicKey<S> {
  const bytes = scheme === 'rsassa-pss-sha256' ? rsaFromSpki(der) : fixedFromSpki(scheme, der);
  if (scheme === 'ed25519') ed25519Key(bytes);
  if (scheme.startsWith('ecdsa') && bytes[0] !== 0x04)
    throw new IronError('E_KEY', 'an EC point that is not uncompressed');
  // Every string of the right length is an ML-DSA key (FIPS 204 Algorithm 23).
  return { scheme, bytes };
}

function fixedFromSpki(scheme: FixedScheme, der: Uint8Array): Uint8Array {
  const form = SPKI[scheme];
  const prefix = fromHex(form.prefix);
  if (
    der.length !== prefix.length + form.key ||
    !equalBytes(der.subarray(0, prefix.length), prefix)
  ) {
    throw new IronError('E_KEY', `not the SubjectPublicKeyInfo of an ${scheme} key`);
  }
  return Uint8Array.from(der.subarray(prefix.length));
}

/** DER SubjectPublicKeyInfo of `key`. */
export function keyToSpki({ scheme, bytes }: PublicKey): Uint8Array {
  if (scheme === 'rsassa-pss-sha256') return rsaToSpki(bytes);
  return concatBytes(fromHex(SPKI[scheme].prefix), bytes);
}

const BEGIN = '-----BEGIN PUBLIC KEY-----';
const END = '-----END PUBLIC KEY-----';

/** The DER inside a `PUBLIC KEY` PEM block (RFC 7468); `E_KEY` on anything else around it. */
export function pemToDer(pem: string): Uint8Array {
  const text = pem.length <= 4096 ? pem.trim() : '';
  // By hand: one expression over the whole block takes seconds on spaces without end.
  const body = text.slice(BEGIN.length, -END.length);
  const base64 = body.replace(/\s/g, '');
  const isBlock = text.startsWith(BEGIN) && text.endsWith(END) && /^\s/.test(body);
  if (!isBlock || !/^[A-Za-z0-9+/=]+$/.test(base64)) {
    throw new IronError('E_KEY', 'not one PEM block of a public key');
  }
  return fromBase64(base64);
}

export function derToPem(der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN PUBLIC KEY-----\n${lines.join('\n')}\n-----END PUBLIC KEY-----\n`;
}
