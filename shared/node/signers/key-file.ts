/**
 * Key files: `ironport.key/v1` holds both halves of a key, the private one plain or under a
 * passphrase; `ironport.pubkey/v1` holds the public one alone, to be handed around.
 *
 * {
 *   "schema": "ironport.key/v1",
 *   "keytype": "ed25519" | "ecdsa",
 *   "scheme": "ed25519" | "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384",
 *   "public": SubjectPublicKeyInfo as PEM,
 *   "private": { "form": "plain", "pkcs8": base64 }
 *            | { "form": "scrypt-aes-256-gcm", "N", "r", "p", "salt", "nonce", "ciphertext" },
 *   "created": "2030-01-31T12:00:00Z"        (optional)
 * }
 *
 * The public half is authenticated together with the ciphertext, so that it cannot be exchanged.
 */

import { concatBytes, toBase64, toHex, utf8 } from '../../bytes.ts';
import {
  derToPem,
  keyFromSpki,
  keyToSpki,
  type PublicKey,
  pemToDer,
  type SigningScheme,
} from '../../crypto/key.ts';
import { IronError } from '../../errors.ts';
import { Node } from '../../json/decode.ts';
import { parseJson } from '../../json/read.ts';
import { KEY_FILE_LIMITS } from '../../limits.ts';
import { formatInstant, type Instant } from '../../time.ts';

const KEY_SCHEMA = 'ironport.key/v1';
const PUBLIC_SCHEMA = 'ironport.pubkey/v1';
/** A key that is somewhere else (key-reference.ts). */
export const REFERENCE_SCHEMA = 'ironport.key-reference/v1';
export const SCHEMES = [
  'ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
] as const satisfies SigningScheme[];

/** A private half as it is stored. */
export type PrivateForm =
  | { readonly form: 'plain'; readonly pkcs8: Uint8Array }
  | {
      readonly form: 'scrypt-aes-256-gcm';
      readonly N: number;
      readonly r: number;
      readonly p: number;
      readonly salt: Uint8Array;
      readonly nonce: Uint8Array;
      /** With the tag of 16 bytes at its end. */
      readonly ciphertext: Uint8Array;
    };

export interface KeyFile {
  readonly key: PublicKey<SigningScheme>;
  readonly private: PrivateForm;
}

/** Reads a key file. `E_JSON`, `E_SCHEMA`, `E_KEY`. */
export function parseKeyFile(bytes: Uint8Array, name = 'key file'): KeyFile {
  const node = new Node(parseJson(bytes, { length: KEY_FILE_LIMITS.file }), name);
  node.only('schema', 'keytype', 'scheme', 'public', 'private', 'created');
  node.get('schema').oneOf(KEY_SCHEMA);
  node.maybe('created')?.instant();
  return { key: parsePublicFields(node), private: privateHalf(node.get('private')) };
}

/** The public key in either kind of file; the private half is left alone. */
export function parsePublicHalf(bytes: Uint8Array, name = 'key file'): PublicKey<SigningScheme> {
  const node = new Node(parseJson(bytes, { length: KEY_FILE_LIMITS.file }), name);
  const schema = node.get('schema').oneOf(KEY_SCHEMA, PUBLIC_SCHEMA, REFERENCE_SCHEMA);
  if (schema === KEY_SCHEMA) return parseKeyFile(bytes, name).key;
  const more = schema === REFERENCE_SCHEMA ? ['uri'] : [];
  return parsePublicFields(node.only('schema', 'keytype', 'scheme', 'public', ...more));
}

/** Whether this is the file of a public half, with which nobody can sign. */
export function isPublicKeyFile(bytes: Uint8Array, name = 'key file'): boolean {
  const node = new Node(parseJson(bytes, { length: KEY_FILE_LIMITS.file }), name);
  return node.get('schema').oneOf(KEY_SCHEMA, PUBLIC_SCHEMA, REFERENCE_SCHEMA) === PUBLIC_SCHEMA;
}

export function parsePublicFields(node: Node): PublicKey<SigningScheme> {
  const scheme = node.get('scheme').oneOf(...SCHEMES);
  node.get('keytype').oneOf(keytypeOf(scheme));
  return keyFromSpki(scheme, pemToDer(node.get('public').string()));
}

function privateHalf(node: Node): PrivateForm {
  const form = node.get('form').oneOf('plain', 'scrypt-aes-256-gcm');
  if (form === 'plain') {
    node.only('form', 'pkcs8');
    return { form, pkcs8: node.get('pkcs8').base64() };
  }
  node.only('form', 'N', 'r', 'p', 'salt', 'nonce', 'ciphertext');
  const N = node.get('N').integer(2, 2 ** 24);
  // RFC 7914 2: N is a power of 2.
  if (!Number.isInteger(Math.log2(N))) throw node.get('N').error('a power of 2 is expected');
  const r = node.get('r').integer(1, 64);
  const p = node.get('p').integer(1, KEY_FILE_LIMITS.scryptPasses);
  if (128 * N * r > KEY_FILE_LIMITS.scryptMemory) {
    throw new IronError(
      'E_TOO_LARGE',
      `${node.path}: its scrypt takes more than ${KEY_FILE_LIMITS.scryptMemory} bytes`,
    );
  }
  const salt = node.get('salt').base64();
  const nonce = node.get('nonce').base64();
  const ciphertext = node.get('ciphertext').base64();
  if (salt.length < 16) throw node.get('salt').error('at least 16 bytes are expected');
  if (nonce.length !== 12) throw node.get('nonce').error('12 bytes are expected');
  if (ciphertext.length <= 16)
    throw node.get('ciphertext').error('more than the 16 bytes of the tag are expected');
  return { form, N, r, p, salt, nonce, ciphertext };
}

/** The bytes of a key file. */
export function formatKeyFile(file: KeyFile, created?: Instant): Uint8Array {
  const half =
    file.private.form === 'plain'
      ? { form: file.private.form, pkcs8: toBase64(file.private.pkcs8) }
      : {
          ...file.private,
          salt: toBase64(file.private.salt),
          nonce: toBase64(file.private.nonce),
          ciphertext: toBase64(file.private.ciphertext),
        };
  return document({
    schema: KEY_SCHEMA,
    ...publicFields(file.key),
    private: half,
    ...(created === undefined ? {} : { created: formatInstant(created) }),
  });
}

/** The bytes of a `.pub.json`. */
export function formatPublicKey(key: PublicKey<SigningScheme>): Uint8Array {
  return document({ schema: PUBLIC_SCHEMA, ...publicFields(key) });
}

/** What the encryption authenticates besides the private half. */
export function associatedData(key: PublicKey): Uint8Array {
  return concatBytes(utf8(`${KEY_SCHEMA}\n${key.scheme}\n${toHex(key.bytes)}`));
}

export function publicFields(
  key: PublicKey<SigningScheme>,
): Record<'keytype' | 'scheme' | 'public', string> {
  return { keytype: keytypeOf(key.scheme), scheme: key.scheme, public: derToPem(keyToSpki(key)) };
}

function keytypeOf(scheme: SigningScheme): 'ed25519' | 'ecdsa' {
  return scheme === 'ed25519' ? 'ed25519' : 'ecdsa';
}

function document(value: object): Uint8Array {
  return utf8(`${JSON.stringify(value, null, 2)}\n`);
}
