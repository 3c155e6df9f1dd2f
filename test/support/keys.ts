/** Keys for tests: made from their names, so that a test means the same key in every run. */

import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { toHex } from '../../shared/bytes.ts';
import {
  ed25519Key,
  keyFromSpki,
  type PublicKey,
  type SigningScheme,
} from '../../shared/crypto/key.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { keyId } from '../../shared/tuf/key.ts';

/** A key pair that signs at once; it is a `Signer` as well. */
export class TestKey implements Signer {
  readonly name: string;
  readonly key: PublicKey<SigningScheme>;
  readonly keyid: string;
  readonly #private: KeyObject;

  constructor(name: string, key: PublicKey<SigningScheme>, secret: KeyObject) {
    this.name = name;
    this.key = key;
    this.keyid = keyId(platformCrypto, key);
    this.#private = secret;
  }

  signNow(message: Uint8Array): Uint8Array {
    const hash = {
      ed25519: null,
      'ecdsa-sha2-nistp256': 'sha256',
      'ecdsa-sha2-nistp384': 'sha384',
    }[this.key.scheme];
    return new Uint8Array(sign(hash, message, this.#private));
  }

  sign(message: Uint8Array): Promise<Uint8Array> {
    return Promise.resolve(this.signNow(message));
  }

  /** The hexadecimal signature, as metadata carries it. */
  signHex(message: Uint8Array): string {
    return toHex(this.signNow(message));
  }
}

/** PKCS #8 up to the secret, by scheme (RFC 8410; RFC 5915 inside RFC 5208 without the point). */
const PKCS8: Readonly<Record<SigningScheme, { readonly prefix: string; readonly secret: number }>> =
  {
    ed25519: { prefix: '302e020100300506032b657004220420', secret: 32 },
    'ecdsa-sha2-nistp256': {
      prefix: '3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420',
      secret: 32,
    },
    'ecdsa-sha2-nistp384': {
      prefix: '304e020100301006072a8648ce3d020106052b81040022043730350201010430',
      secret: 48,
    },
  };

const made = new Map<string, TestKey>();

/** The key of this name; equal names are one key. */
export function testKey(name: string, scheme: SigningScheme = 'ed25519'): TestKey {
  const id = `${scheme} ${name}`;
  const known = made.get(id);
  if (known !== undefined) return known;
  const { prefix, secret } = PKCS8[scheme];
  const seed = createHash('sha512').update(id).digest().subarray(0, secret);
  // The orders of both curves begin with ff bytes: a smaller first byte keeps the secret below.
  if (scheme !== 'ed25519') seed[0] = 0x7f;
  const der = Buffer.concat([Buffer.from(prefix, 'hex'), seed]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  const key =
    scheme === 'ed25519'
      ? ed25519Key(new Uint8Array(spki.subarray(-32)))
      : keyFromSpki(scheme, new Uint8Array(spki));
  const pair = new TestKey(name, key, privateKey);
  made.set(id, pair);
  return pair;
}
