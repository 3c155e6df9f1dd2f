/** Keys as TUF metadata carries them (TUF 1.0.34 section 4.2.2; TAP 21 for ML-DSA). */

import { concatBytes, fromHex, toHex } from '../bytes.ts';
import type { Crypto } from '../crypto/crypto.ts';
import {
  derToPem,
  ed25519Key,
  keyFromSpki,
  keyToSpki,
  type PublicKey,
  pemToDer,
  type Scheme,
} from '../crypto/key.ts';
import { IronError } from '../errors.ts';
import { canonicalBytes } from '../json/canonical.ts';
import type { Node } from '../json/decode.ts';
import { type JsonObject, jsonObject } from '../json/value.ts';

export interface TufKey {
  readonly keytype: string;
  readonly scheme: string;
  /** Absent when this client cannot use the key; such a key counts towards no threshold. */
  readonly publicKey: PublicKey | undefined;
  /** Why the key is of no use here. */
  readonly unusable: string | undefined;
}

/**
 * Reads one key. Kinds that are unknown here, and keys of known kinds that are malformed or weak,
 * are kept as unusable instead of refusing the file: one bad key among good ones must not be a
 * way to stop a repository, and an unusable key already counts nowhere.
 */
export function parseKey(node: Node): TufKey {
  const keytype = node.get('keytype').string();
  const scheme = node.get('scheme').string();
  const keyval = node.get('keyval');
  keyval.object();
  try {
    // Both decide, and nothing else: never what the key or a signature looks like (TAP 21).
    const kind = KINDS.find((row) => row.keytype === keytype && row.scheme === scheme);
    if (kind === undefined)
      throw new IronError('E_KEY', `keys of kind ${keytype}, ${scheme} are unknown here`);
    const publicKey = keyFromText(kind.is, keyval.get('public').string());
    return { keytype, scheme, publicKey, unusable: undefined };
  } catch (error) {
    if (!(error instanceof IronError)) throw error;
    return { keytype, scheme, publicKey: undefined, unusable: error.message };
  }
}

interface Kind {
  readonly keytype: string;
  readonly scheme: string;
  readonly is: Scheme;
}

/** The first row of a scheme is how we write it; older writers put the scheme into the key type. */
const KINDS: readonly Kind[] = [
  { keytype: 'ed25519', scheme: 'ed25519', is: 'ed25519' },
  { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', is: 'ecdsa-sha2-nistp256' },
  { keytype: 'ecdsa-sha2-nistp256', scheme: 'ecdsa-sha2-nistp256', is: 'ecdsa-sha2-nistp256' },
  { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp384', is: 'ecdsa-sha2-nistp384' },
  { keytype: 'ecdsa-sha2-nistp384', scheme: 'ecdsa-sha2-nistp384', is: 'ecdsa-sha2-nistp384' },
  { keytype: 'rsa', scheme: 'rsassa-pss-sha256', is: 'rsassa-pss-sha256' },
  // TAP 21: after the slash stands the version of the protocol, see `signedMessage`.
  { keytype: 'ml-dsa', scheme: 'ml-dsa-44/1', is: 'ml-dsa-44' },
  { keytype: 'ml-dsa', scheme: 'ml-dsa-65/1', is: 'ml-dsa-65' },
  { keytype: 'ml-dsa', scheme: 'ml-dsa-87/1', is: 'ml-dsa-87' },
];

function keyFromText(scheme: Scheme, text: string): PublicKey {
  return scheme === 'ed25519' ? ed25519Key(fromHex(text)) : keyFromSpki(scheme, pemToDer(text));
}

/** The metadata form of a key, as we write it. */
export function keyObject(key: PublicKey): JsonObject {
  const text = key.scheme === 'ed25519' ? toHex(key.bytes) : derToPem(keyToSpki(key));
  const { keytype, scheme } = KINDS.find(({ is }) => is === key.scheme) as Kind;
  return jsonObject([
    ['keytype', keytype],
    ['scheme', scheme],
    ['keyval', jsonObject([['public', text]])],
  ]);
}

/** `tuf`, and the version 1 of the protocol. */
const ML_DSA_PREFIX = Uint8Array.of(0x74, 0x75, 0x66, 0x01);

/**
 * What a signature by `key` covers, of metadata with the canonical form `canonical`: the form
 * itself, but for ML-DSA `"tuf" || version || SHA-512(canonical)` (TAP 21, version 1), so that a
 * token need not be sent megabytes. This is TUF's way of using the scheme; other formats have
 * their own, and the prefix keeps the two apart.
 */
export function signedMessage(crypto: Crypto, key: PublicKey, canonical: Uint8Array): Uint8Array {
  if (!key.scheme.startsWith('ml-dsa-')) return canonical;
  return concatBytes(ML_DSA_PREFIX, crypto.sha512(canonical));
}

/**
 * The id we give a key: SHA-256 of its canonical form (TUF 4.2.3). Ids of others are opaque
 * (TAP 12) and never recomputed: what counts is the key.
 */
export function keyId(crypto: Crypto, key: PublicKey): string {
  const known = ids.get(key);
  if (known !== undefined) return known;
  const id = toHex(crypto.sha256(canonicalBytes(keyObject(key))));
  ids.set(key, id);
  return id;
}

/** By key, which nobody changes: verdicts about a thousand artifacts name the same few. */
const ids = new WeakMap<PublicKey, string>();

/** For messages: enough of an id to recognise it. */
export function shortKeyId(keyid: string): string {
  return keyid.slice(0, 12);
}

/** Reads the text form of a signature; undefined when it is not lower-case hexadecimal. */
export function signatureBytes(sig: string): Uint8Array | undefined {
  try {
    return fromHex(sig);
  } catch {
    return undefined;
  }
}
