/** One signature more on the file of a nested role that somebody passed on. */

import { confirm } from '../shared/cli/confirm.ts';
import { IronError } from '../shared/errors.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import { addSignatures } from '../shared/tuf/build.ts';
import { parseArtifactPath } from '../shared/tuf/names.ts';
import type { Targets } from '../shared/tuf/targets.ts';
import { publishedBranch, sendRoles } from './branch.ts';
import {
  delegatesWithin,
  demandBelowFile,
  leaveWaiting,
  showRole,
  type Waiting,
} from './co-sign.ts';
import { handIn, type Published } from './hand-in.ts';
import { type Session, verifiedBase } from './session.ts';
import { coSignBelow, type SignedBelow } from './sign-below.ts';
import type { VendorSigners } from './signers.ts';
import type { Api } from './upload/api.ts';
import { BatchSender } from './upload/batch.ts';

/**
 * Nothing but what a role of the vendor may list: all that can be seen without the repository, where whose
 * the file is cannot. `E_NOT_AUTHORISED`.
 */
export function demandVendorsFile(vendor: string, role: string, file: Targets): void {
  const foreign = file.paths().find((target) => parseArtifactPath(target).vendor !== vendor);
  const isSound =
    file.delegations === undefined || delegatesWithin(role, file, [`${vendor}/*/*/*`]);
  if (foreign === undefined && isSound) return;
  throw new IronError('E_NOT_AUTHORISED', `this is not a role of ${vendor}`, {
    why: foreign === undefined ? 'it delegates to others' : `it lists ${foreign}`,
    hint: 'nothing was signed; ask whoever passed it on what it is',
  });
}

/** Adds the signatures of the keys of the role that are here. `E_KEY` when there is none. */
export async function signNestedAlone(
  signers: VendorSigners,
  role: string,
  file: Targets,
): Promise<Uint8Array> {
  const here = await signers.ofNested(role);
  if (here.length === 0) throw noKey(role);
  return await addSignatures(crypto, file.envelope, here);
}

/** Shows what it changes against what is published, asks, and adds the signatures that count. */
export async function coSignNested(
  session: Session,
  role: string,
  file: Targets,
): Promise<SignedBelow> {
  const base = await verifiedBase(session);
  const branch = publishedBranch(session, base);
  const keys = await demandBelowFile(base, branch, role, file);
  showRole(session.context, await branch.reached(role), file, role);
  await confirm(session.context, `sign ${role} ${file.version}?`);
  const { signed, count } = await coSignBelow(session, [{ role, file, keys }]);
  if (count === 0) throw noKey(role);
  return signed[0] as SignedBelow;
}

/** Hands it in when it has all of its signatures; otherwise it waits for the next signer. */
export async function bringNested(
  session: Session,
  api: Api,
  signed: SignedBelow,
): Promise<{ readonly waiting: Waiting } | { readonly published: Published }> {
  if (signed.have < signed.need)
    return { waiting: await leaveWaiting(session, api, { own: undefined, nested: [signed] }) };
  const sender = new BatchSender(api);
  await sendRoles(api, sender, [signed]);
  await sender.flush();
  return { published: await handIn(session, api, undefined, { nested: [signed] }) };
}

function noKey(role: string): IronError {
  return new IronError('E_KEY', `no key that counts on ${role} is in this folder`, {
    why: 'vendor.json names none of its keys, or they were exchanged',
    hint: 'nothing was signed',
  });
}
