/** The people of a ceremony: those whose keys are at hand sign, the others are listed. */

import type { CommandContext, OptionSpec } from '../../shared/cli/command.ts';
import { PASSPHRASE_OPTION, passphraseSource } from '../../shared/cli/secret.ts';
import { keyIdentity, type PublicKey, type SigningScheme } from '../../shared/crypto/key.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { KEY_FILE_LIMITS } from '../../shared/limits.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { loadPublicKey } from '../../shared/node/signers/file.ts';
import { isPublicKeyFile } from '../../shared/node/signers/key-file.ts';
import { isSignerUri, openPublicKey, openSigner } from '../../shared/node/signers/uri.ts';
import { readAs, unreadableAs } from './files.ts';

export { PASSPHRASE_OPTION };

const A_KEY = 'the file of a key, nor its public half';

export const KEY_OPTION: OptionSpec = {
  flags: '-k, --key <key>',
  description: 'key to sign with: a key file or a signer URI; may be given several times',
  repeatable: true,
  required: true,
};

/** Somebody who may sign, and who can do so here when `signer` is there. */
export interface Participant {
  readonly key: PublicKey;
  readonly signer: Signer | undefined;
}

/** Opens each key of an option; a public half is one who signs elsewhere. `E_KEY` on one twice. */
export async function participants(
  context: CommandContext,
  uris: readonly string[],
): Promise<Participant[]> {
  const list: Participant[] = [];
  for (const uri of uris) list.push(await participant(context, uri));
  const seen = new Map<string, string>();
  for (const [i, { key }] of list.entries()) {
    const uri = uris[i] as string;
    const other = seen.get(keyIdentity(key));
    // A threshold counts keys: the same key in two files is one signer.
    if (other !== undefined)
      throw new IronError('E_KEY', `${uri} and ${other} are the same key`, {
        why: 'a threshold counts keys, and not how often one is named',
        hint: 'nothing was signed; name each once',
      });
    seen.set(keyIdentity(key), uri);
  }
  return list;
}

async function participant(context: CommandContext, uri: string): Promise<Participant> {
  if (!isSignerUri(uri)) {
    const bytes = await readFileCapped(uri, KEY_FILE_LIMITS.file);
    if (readAs(uri, A_KEY, () => isPublicKeyFile(bytes, uri)))
      return { key: await loadPublicKey(uri), signer: undefined };
  }
  const signer = await openSigner(uri, passphraseSource(context));
  return { key: signer.key, signer };
}

/** Signers for each `--key`; a public half is `E_USAGE`, because nothing else is asked of it. */
export async function signersOf(context: CommandContext): Promise<Signer[]> {
  const uris = context.list('key');
  if (uris.length === 0) throw new IronError('E_USAGE', 'the option --key is needed');
  return (await participants(context, uris)).map(({ signer }, i) => {
    if (signer === undefined)
      throw new IronError('E_USAGE', `${uris[i]} is a public half, and cannot sign`, {
        hint: 'nothing was signed; give the key file or the signer itself, where it is',
      });
    return signer;
  });
}

/** As `signersOf`, for commands that may leave the signing to others. */
export async function maybeSignersOf(context: CommandContext): Promise<Signer[]> {
  return context.list('key').length === 0 ? [] : await signersOf(context);
}

/** The public half of the key in a file or behind a URI. */
export async function publicKeyOf(
  context: CommandContext,
  uri: string,
): Promise<PublicKey<SigningScheme>> {
  try {
    return await openPublicKey(uri, passphraseSource(context));
  } catch (error) {
    throw isIronError(error, 'E_KEY') ? error : unreadableAs(uri, A_KEY, error);
  }
}
