/** Keys in files: made, opened and signed with. */

import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  type ScryptOptions,
  scrypt,
  sign,
} from 'node:crypto';
import { concatBytes, utf8 } from '../../bytes.ts';
import { keyFromSpki, keyIdentity, type PublicKey, type SigningScheme } from '../../crypto/key.ts';
import type { Signer } from '../../crypto/signer.ts';
import { IronError } from '../../errors.ts';
import { KEY_FILE_LIMITS } from '../../limits.ts';
import type { Instant } from '../../time.ts';
import { onPath } from '../file-system.ts';
import { openRegular, readFileCapped, readOpenCapped } from '../files.ts';
import {
  associatedData,
  formatKeyFile,
  formatPublicKey,
  type KeyFile,
  type PrivateForm,
  parseKeyFile,
  parsePublicHalf,
} from './key-file.ts';

type Encrypted = Extract<PrivateForm, { form: 'scrypt-aes-256-gcm' }>;

/** A passphrase, or the way to get it once it turns out to be needed. */
export type Passphrase = string | (() => Promise<string>);

/** A new key: the two files, and its public half. */
export interface NewKey {
  readonly key: PublicKey<SigningScheme>;
  /** To be written with mode 0600. */
  readonly file: Uint8Array;
  /** The `.pub.json` beside it. */
  readonly publicFile: Uint8Array;
}

// As strong as N = 2^17 with one pass, in a quarter of the memory: a program that signs while it
// streams an artifact stays within its bounds.
const SCRYPT = { N: 2 ** 15, r: 8, p: 3 } as const;
const TAG = 16;

/** Makes a key; with a passphrase the private half is encrypted. */
export async function makeKeyFile(
  scheme: SigningScheme,
  options: { readonly passphrase?: string; readonly created?: Instant } = {},
): Promise<NewKey> {
  const { privateKey, publicKey } = generate(scheme);
  const key = keyFromSpki(scheme, publicKey.export({ format: 'der', type: 'spki' }));
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
  const half: PrivateForm =
    options.passphrase === undefined
      ? { form: 'plain', pkcs8 }
      : await encrypt(key, pkcs8, options.passphrase);
  return {
    key,
    file: formatKeyFile({ key, private: half }, options.created),
    publicFile: formatPublicKey(key),
  };
}

function generate(scheme: SigningScheme): { privateKey: KeyObject; publicKey: KeyObject } {
  switch (scheme) {
    case 'ed25519':
      return generateKeyPairSync('ed25519');
    case 'ecdsa-sha2-nistp256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' });
    case 'ecdsa-sha2-nistp384':
      return generateKeyPairSync('ec', { namedCurve: 'P-384' });
  }
}

/**
 * A signer with the key in the file at `path`. `E_KEY` when others can read the file, when the
 * passphrase is missing or wrong, and when the two halves do not belong together.
 */
export async function loadFileSigner(
  path: string,
  options: { readonly passphrase?: Passphrase } = {},
): Promise<Signer> {
  const file = parseKeyFile(await readPrivate(path), path);
  const privateKey = await openPrivate(path, file, options.passphrase);
  const { key } = file;
  const found = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  if (keyIdentity(keyFromSpki(key.scheme, found)) !== keyIdentity(key)) {
    throw new IronError('E_KEY', `${path}: the private half is not that of the public one`);
  }
  return {
    key,
    sign: async (message) => new Uint8Array(sign(HASHES[key.scheme], message, privateKey)),
  };
}

/** As `Crypto.verify` takes it: raw for Ed25519, DER for ECDSA (which is the platform's default). */
const HASHES: Readonly<Record<SigningScheme, string | null>> = {
  ed25519: null,
  'ecdsa-sha2-nistp256': 'sha256',
  'ecdsa-sha2-nistp384': 'sha384',
};

/** The public key in a key file or a `.pub.json`. */
export async function loadPublicKey(path: string): Promise<PublicKey<SigningScheme>> {
  return parsePublicHalf(await readFileCapped(path, KEY_FILE_LIMITS.file), path);
}

/** Reads a file that nobody else may read; judged on what was opened, not on its name. */
async function readPrivate(path: string): Promise<Uint8Array> {
  const file = await openRegular(path);
  try {
    const { mode } = await onPath(path, () => file.stat());
    if ((mode & 0o077) !== 0) {
      throw new IronError('E_KEY', `${path} can be read or changed by others`, {
        why: `its mode is ${(mode & 0o777).toString(8).padStart(4, '0')} and a private key's is 0600`,
        hint: `chmod 600 ${path}, and consider whether somebody has read it already`,
        context: { path },
      });
    }
    return await readOpenCapped(file, path, KEY_FILE_LIMITS.file);
  } finally {
    await file.close();
  }
}

async function openPrivate(
  path: string,
  file: KeyFile,
  passphrase: Passphrase | undefined,
): Promise<KeyObject> {
  let der: Uint8Array;
  if (file.private.form === 'plain') {
    der = file.private.pkcs8;
  } else {
    if (passphrase === undefined) {
      throw new IronError('E_KEY', `${path} is encrypted and no passphrase was given`, {
        context: { path },
      });
    }
    const text = typeof passphrase === 'string' ? passphrase : await passphrase();
    der = await decrypt(path, file.key, file.private, text);
  }
  try {
    return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
  } catch (cause) {
    throw new IronError('E_KEY', `${path}: the private half is not PKCS #8`, { cause });
  }
}

async function encrypt(key: PublicKey, pkcs8: Uint8Array, passphrase: string): Promise<Encrypted> {
  const [salt, nonce] = [randomBytes(32), randomBytes(12)];
  const cipher = createCipheriv('aes-256-gcm', await derive(passphrase, salt, SCRYPT), nonce);
  cipher.setAAD(associatedData(key));
  const ciphertext = concatBytes(cipher.update(pkcs8), cipher.final(), cipher.getAuthTag());
  return { form: 'scrypt-aes-256-gcm', ...SCRYPT, salt, nonce, ciphertext };
}

async function decrypt(
  path: string,
  key: PublicKey,
  half: Encrypted,
  passphrase: string,
): Promise<Uint8Array> {
  const secret = await derive(passphrase, half.salt, half);
  const decipher = createDecipheriv('aes-256-gcm', secret, half.nonce, { authTagLength: TAG });
  decipher.setAAD(associatedData(key));
  decipher.setAuthTag(half.ciphertext.subarray(-TAG));
  try {
    return concatBytes(decipher.update(half.ciphertext.subarray(0, -TAG)), decipher.final());
  } catch (cause) {
    throw new IronError('E_KEY', `${path} does not open with this passphrase`, {
      why: 'the passphrase is another one, or the file was changed',
      cause,
      context: { path },
    });
  }
}

function derive(
  passphrase: string,
  salt: Uint8Array,
  { N, r, p }: Required<Pick<ScryptOptions, 'N' | 'r' | 'p'>>,
): Promise<Buffer> {
  // One passphrase has several spellings in Unicode; keyboards differ in which one they give.
  const secret = utf8(passphrase.normalize('NFC'));
  return new Promise((resolve, reject) => {
    scrypt(
      secret,
      salt,
      32,
      { N, r, p, maxmem: 2 * KEY_FILE_LIMITS.scryptMemory },
      (error, derived) => (error === null ? resolve(derived) : reject(error)),
    );
  });
}
