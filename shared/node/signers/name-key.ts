/** Naming a key that is not in a file: the file that stands for it, and its public half. */

import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { PublicKey, SigningScheme } from '../../crypto/key.ts';
import { IronError } from '../../errors.ts';
import { onPath } from '../file-system.ts';
import { writeFileExclusive } from '../files.ts';
import { formatPublicKey } from './key-file.ts';
import { formatKeyReference } from './key-reference.ts';
import type { PassphraseSource } from './passphrase.ts';
import { makePkcs11Key } from './pkcs11.ts';
import { MODULE_VARIABLE } from './pkcs11-module.ts';
import { withModulePath } from './pkcs11-uri.ts';
import { isSignerUri, openPublicKey } from './uri.ts';
import { publicPathOf } from './write-key.ts';

export interface NamedKey {
  readonly key: PublicKey<SigningScheme>;
  readonly uri: string;
  readonly path: string;
  readonly publicPath: string;
}

/**
 * Writes `path` for the key that `uri` names; with `make`, the key is made in its token before.
 * `E_USAGE` on a URI of a file, `E_EXISTS`, and what opening the key throws.
 */
export async function nameKey(
  uri: string,
  path: string,
  source: PassphraseSource,
  make: SigningScheme | undefined,
): Promise<NamedKey> {
  if (!isSignerUri(uri) || uri.startsWith('file:'))
    throw new IronError('E_USAGE', `${uri} is a file, which needs no other file to stand for it`);
  const isToken = uri.startsWith('pkcs11:');
  if (make !== undefined && !isToken)
    throw new IronError('E_USAGE', 'keys are made in PKCS#11 tokens only', {
      hint: 'make the key with the tool of that signer, and name it without --make',
    });
  const rest = uri.slice('pkcs11:'.length);
  // Of the environment of whoever uses the file nothing is known.
  const module = source.env[MODULE_VARIABLE];
  const whole = isToken && module !== undefined ? `pkcs11:${withModulePath(rest, module)}` : uri;
  if (make !== undefined) await makePkcs11Key(rest, make, source);
  const key = await openPublicKey(whole, source);
  const publicPath = publicPathOf(path);
  const folder = dirname(path);
  await onPath(folder, () => mkdir(folder, { recursive: true, mode: 0o700 }));
  await writeFileExclusive(path, formatKeyReference({ key, uri: whole }), { mode: 0o600 });
  await writeFileExclusive(publicPath, formatPublicKey(key));
  return { key, uri: whole, path, publicPath };
}
