/** From what somebody writes (`file:root-1.json`, `pkcs11:token=ops;object=root-1`) to a signer. */

import { fileURLToPath } from 'node:url';
import { isSigningKey, keyIdentity, type PublicKey, type SigningScheme } from '../../crypto/key.ts';
import type { Signer } from '../../crypto/signer.ts';
import { IronError } from '../../errors.ts';
import { KEY_FILE_LIMITS } from '../../limits.ts';
import { platformCrypto } from '../crypto.ts';
import { readFileCapped } from '../files.ts';
import { loadFileSigner, loadPublicKey } from './file.ts';
import { parseKeyReference } from './key-reference.ts';
import { type PassphraseSource, passphraseFor } from './passphrase.ts';
import { openPkcs11 } from './pkcs11.ts';
import { openPlugin } from './plugin.ts';
import { openSshAgent } from './ssh-agent.ts';

/** Opens a signer by scheme; `rest` is what follows the colon. */
type Opener = (rest: string, source: PassphraseSource) => Promise<Signer>;

const OPENERS: ReadonlyMap<string, Opener> = new Map([
  ['file', (rest, source) => openFile(pathOf(rest), source)],
  ['pkcs11', checked(openPkcs11)],
  ['ssh-agent', checked(openSshAgent)],
  ['plugin', checked(openPlugin)],
]);

const URI = /^([a-z][a-z0-9+.-]*):(.*)$/s;

/** Whether this is a URI of a scheme, and not a plain path. */
export function isSignerUri(text: string): boolean {
  return URI.test(text);
}

/** The signer that `uri` names, or a path does. `E_USAGE` on schemes that are unknown. */
export async function openSigner(uri: string, source: PassphraseSource): Promise<Signer> {
  const [, scheme, rest] = URI.exec(uri) ?? [];
  if (scheme === undefined || rest === undefined) return await openFile(uri, source);
  return await openerOf(scheme)(rest, source);
}

/** The public half of the key that `uri` names; of a file, encrypted or not, it needs no secret. */
export async function openPublicKey(
  uri: string,
  source: PassphraseSource,
): Promise<PublicKey<SigningScheme>> {
  const [, scheme, rest] = URI.exec(uri) ?? [];
  if (scheme === undefined || rest === undefined) return await loadPublicKey(uri);
  if (scheme === 'file') return await loadPublicKey(pathOf(rest));
  const { key } = await openerOf(scheme)(rest, source);
  if (isSigningKey(key)) return key;
  throw new IronError('E_KEY', `${uri} is of a kind that signs nothing here`);
}

function openerOf(scheme: string): Opener {
  const open = OPENERS.get(scheme);
  if (open !== undefined) return open;
  throw new IronError('E_USAGE', `no kind of signer is called ${scheme}:`, {
    hint: `there are ${Array.from(OPENERS.keys(), (name) => `${name}:`).join(', ')} and plain paths`,
  });
}

function pathOf(rest: string): string {
  return rest.startsWith('//') ? fileURLToPath(`file:${rest}`) : rest;
}

/** A key file, or a file that says where the key is instead. */
async function openFile(path: string, source: PassphraseSource): Promise<Signer> {
  const reference = parseKeyReference(await readFileCapped(path, KEY_FILE_LIMITS.file), path);
  if (reference === undefined)
    return loadFileSigner(path, { passphrase: () => passphraseFor(path, source) });
  const signer = await openSigner(reference.uri, source);
  if (keyIdentity(signer.key) === keyIdentity(reference.key)) return signer;
  throw new IronError('E_KEY', `${path} stands for another key than ${reference.uri} gives`, {
    why: 'the token, the agent or the plugin holds another key under that name',
    hint: 'nothing was signed',
  });
}

/** What others made is verified before it is used: a fault in a token shows here, and nowhere else. */
function checked(open: Opener): Opener {
  return async (rest, source) => {
    const { key, sign } = await open(rest, source);
    return {
      key,
      async sign(message) {
        const signature = await sign(message);
        if (platformCrypto.verify(key, message, signature)) return signature;
        throw new IronError('E_SIGNATURE', 'the signer gave a signature that does not verify', {
          hint: 'nothing was signed; the token, the agent or the plugin is faulty or holds another key',
        });
      },
    };
  };
}
