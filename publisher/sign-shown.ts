/** Signs what was shown: roles that somebody else made, whether they wait at the service or came in a folder. */

import { IronError } from '../shared/errors.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import { addSignatures } from '../shared/tuf/build.ts';
import type { SignedTogether } from './co-sign.ts';
import { countedSoFar, countSignatures, type SignedRole } from './hand-in.ts';
import type { Base } from './rebase/base.ts';
import { noteSigned } from './rebase/note-signed.ts';
import type { Session } from './session.ts';
import type { DraftedFile, ShownFile } from './show-draft.ts';
import { type BelowToSign, coSignBelow } from './sign-below.ts';

/** Adds the signatures of the keys that are here, at least one of which must count on something. */
export async function signShown(
  session: Session,
  base: Base,
  files: readonly ShownFile[],
): Promise<SignedTogether> {
  const { dir, config, signers } = session;
  const below: BelowToSign[] = [];
  let own: SignedRole | undefined;
  let isSigned = false;
  for (const { role, file, bytes, keys } of files) {
    if (keys !== undefined) {
      below.push({ role, file, keys });
      continue;
    }
    // Where a nested role waits with it, this may be the folder of those who sign that one.
    const here = files.length === 1 ? await signers.here('tuf') : await signers.among('tuf');
    const signedBytes =
      here.length === 0 ? bytes : await addSignatures(crypto, file.envelope, here);
    own =
      here.length === 0
        ? countedSoFar(base, bytes, config.vendor)
        : countSignatures(base, signedBytes, config.vendor);
    isSigned ||= here.length > 0;
    if (here.length > 0) await noteSigned(dir, config.vendor, own);
  }
  const { signed: nested, count } = await coSignBelow(session, below);
  if (!isSigned && count === 0)
    throw new IronError('E_KEY', 'no key that could sign it is in this folder', {
      why: `vendor.json names none of the keys of ${rolesText(files)}`,
      hint: 'nothing was signed',
    });
  return { own, nested };
}

/** More roles than these are counted, and not named one by one. */
export const MANY = 6;

export function draftNames(files: readonly DraftedFile[]): string {
  return namesOf(
    files.map(({ role, file }) => ({ role, version: file.version })),
    ' and ',
  );
}

/** `acme 4 and acme.wifi 2`; of many roles how many there are. */
export function namesOf(
  files: readonly { readonly role: string; readonly version: number }[],
  and: string,
): string {
  const shown = files.slice(0, files.length > MANY ? 1 : MANY);
  const words = shown.map(({ role, version }) => `${role} ${version}`);
  if (files.length > MANY) words.push(`${files.length - 1} more roles`);
  return words.join(and);
}

function rolesText(files: readonly { readonly role: string }[]): string {
  const words = files.slice(0, MANY).map(({ role }) => role);
  if (files.length > MANY) words.push(`${files.length - MANY} more`);
  return words.join(' and ');
}
