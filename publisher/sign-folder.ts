/** One signature more on all roles of a folder, which become visible together when they have enough. */

import type { CommandResult } from '../shared/cli/command.ts';
import { confirm } from '../shared/cli/confirm.ts';
import { apart, sendRoles } from './branch.ts';
import { countOf, isComplete } from './co-sign.ts';
import { handIn } from './hand-in.ts';
import { type FolderFile, readRoleFolder, rewriteRoleFolder } from './role-folder.ts';
import { apiOf, type Session, verifiedBase } from './session.ts';
import { showDraft } from './show-draft.ts';
import { draftNames, signShown } from './sign-shown.ts';
import { BatchSender } from './upload/batch.ts';

/**
 * Shows what all of them change together, asks, and adds the signatures of the keys that are here. With the
 * last ones they are handed in, in one submission. What `readRoleFolder` and `showDraft` throw.
 */
export async function signFolder(session: Session, path: string): Promise<CommandResult> {
  const { context, config } = session;
  const { vendor } = config;
  const files = await readRoleFolder(path);
  const base = await verifiedBase(session);
  const shown = await showDraft(session, base, files);
  const names = draftNames(files);
  await confirm(context, `sign ${names}?`);
  const { own, nested: below } = await signShown(session, base, shown);
  const together = { own, ...apart(below) };
  const count = countOf(together);
  const ofOwn: FolderFile[] =
    own === undefined ? [] : [{ role: vendor, version: own.role.version, bytes: own.bytes }];
  await rewriteRoleFolder(path, [...ofOwn, ...below]);
  const roles = files.map(({ role, file }) => ({ role, version: file.version }));
  const facts = { folder: path, roles, signatures: count };
  if (!isComplete(together))
    return {
      data: { ...facts, published: false },
      text: folderText(path, count),
    };
  const api = await apiOf(session);
  const sender = new BatchSender(api);
  await sendRoles(api, sender, below);
  await sender.flush();
  const published = await handIn(session, api, own, together);
  return {
    data: { ...facts, published: true, ...published },
    text: `${names} are published, in snapshot ${published.snapshot}`,
  };
}

/** What the next signer is to do with a folder. */
export function folderText(
  path: string,
  { have, need }: { readonly have: number; readonly need: number },
): string {
  return [
    `${have} of the ${need} signatures that it needs are there, and ${path} holds all of it`,
    'the next signer: `ironport sign FOLDER --dir DIR --repository URL`; until it is published, publish nothing else',
  ].join('\n');
}
