/** Making a key: the two files of it, of which none replaces another. */

import { mkdir, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { PublicKey, SigningScheme } from '../../crypto/key.ts';
import { IronError } from '../../errors.ts';
import type { Instant } from '../../time.ts';
import { onPath } from '../file-system.ts';
import { writeFileExclusive } from '../files.ts';
import { makeKeyFile } from './file.ts';

export interface WrittenKey {
  readonly key: PublicKey<SigningScheme>;
  readonly path: string;
  readonly publicPath: string;
}

/** `root-1.json` has its public half in `root-1.pub.json`. */
export function publicPathOf(path: string): string {
  return `${path.endsWith('.json') ? path.slice(0, -'.json'.length) : path}.pub.json`;
}

/** Makes a key at `path`, mode 0600, and its public half beside it. `E_EXISTS`, `E_IO`. */
export async function writeNewKey(
  path: string,
  scheme: SigningScheme,
  options: { readonly passphrase?: string; readonly created: Instant },
): Promise<WrittenKey> {
  const made = await makeKeyFile(scheme, options);
  const publicPath = publicPathOf(path);
  // Folders that are not there yet are for keys; one that is there keeps the mode it has.
  const folder = dirname(path);
  await onPath(folder, () => mkdir(folder, { recursive: true, mode: 0o700 }));
  const write = (place: string, bytes: Uint8Array, mode: number) =>
    writeFileExclusive(place, bytes, { mode }).catch((error) => {
      if (!(error instanceof IronError) || error.code !== 'E_EXISTS') throw error;
      throw new IronError('E_EXISTS', `${place} exists already, and a key is never overwritten`, {
        hint: 'nothing was replaced, and no key was made; choose another name',
        context: { path: place },
        cause: error,
      });
    });
  // The private half first: a public half without one would be handed around for nothing.
  await write(path, made.file, 0o600);
  try {
    await write(publicPath, made.publicFile, 0o644);
  } catch (error) {
    // Nobody has seen it; left there, it would stand in the way of the next try.
    await unlink(path).catch(() => {});
    throw error;
  }
  return { key: made.key, path, publicPath };
}
