/**
 * Changes that wait for signatures, as they go over the wire. Whoever brings a file with a
 * signature that counts opens a draft, or adds to one; when nothing is missing any more, the
 * service hands it in like any submission.
 *
 *     POST operator/pending         signed files of the operators, or a list; 202 a DraftReply
 *     GET  operator/pending         a DraftList
 *     GET  operator/pending/<id>    a DraftReply with the files
 *     POST pending                  a vendor's roles, signed request; 202 a DraftReply
 *     GET  pending, pending/<id>    as above, of the vendor that signed the request
 */

import * as z from 'zod';
import { concatBytes, toHex, utf8 } from '../bytes.ts';
import type { Crypto } from '../crypto/crypto.ts';
import { IronError } from '../errors.ts';
import { revocations } from '../layout.ts';
import { DRAFT_LIMITS, METADATA_LIMITS, SERVER_LIMITS } from '../limits.ts';
import { isListFile, readList } from '../revocation/signed-list.ts';
import { objectMember } from '../tuf/build.ts';
import { type Envelope, parseEnvelope } from '../tuf/envelope.ts';
import { EXTENSION_FIELD } from '../tuf/vendors.ts';
import { isResignedRole } from './resigned-role.ts';
import { errorBody } from './upload.ts';

export const DRAFT_ROLE_SCHEMA = 'ironport.draft-role/v1';

const roleName = z.string().min(1).max(100);
const metadata = z.string().max(SERVER_LIMITS.body);

/** A vendor's role, roles below it (nested ones or bins), or both together, that lack signatures. */
export const draftRoleRequest = z
  .strictObject({
    schema: z.literal(DRAFT_ROLE_SCHEMA),
    role: roleName,
    metadata: metadata.optional(),
    nested: z
      .array(z.strictObject({ role: roleName, metadata }))
      .min(1)
      .max(DRAFT_LIMITS.files)
      .optional(),
  })
  .refine((body) => body.metadata !== undefined || body.nested !== undefined, {
    error: 'neither metadata nor nested roles',
  });

const standing = z.object({
  by: z.string(),
  have: z.number().int(),
  need: z.number().int(),
});

const draftFile = z.object({
  /**
   * `root`, `targets`, a role of a vendor; `revocations/list.json` for a list of revocations; `beside`
   * for a file that is complete and goes along.
   */
  role: z.string(),
  version: z.number().int(),
  /** Null for a list, which is good until another one follows. */
  expires: z.string().nullable(),
  signatures: z.array(standing),
  signed_by: z.array(z.string()),
});
export type DraftFile = z.infer<typeof draftFile>;

export const DRAFT_STATES = [
  'open',
  'queued',
  'in-review',
  'published',
  'refused',
  'stale',
  'expired',
  'dropped',
] as const;
export type DraftState = (typeof DRAFT_STATES)[number];

export const draftReply = z.object({
  id: z.string(),
  /** `open` waits for signatures; what is `queued` has them all, and is a submission now. */
  state: z.enum(DRAFT_STATES),
  opened: z.string(),
  /** When it is dropped if its signatures are not there by then. */
  until: z.string(),
  files: z.array(draftFile),
  /** Of the submission that it became. */
  submission: z.string().nullable(),
  error: errorBody.nullable(),
  /** The files themselves in base64, in the order of `files`; where one draft was asked for. */
  contents: z.array(z.string().max(SERVER_LIMITS.body)).optional(),
});
export type DraftReply = z.infer<typeof draftReply>;

export const draftList = z.object({ drafts: z.array(draftReply) });

/** How many signatures a draft still lacks, of every demand on it. */
export function lacking({ files }: { readonly files: readonly DraftFile[] }): number {
  return files
    .flatMap(({ signatures }) => signatures)
    .reduce((sum, { have, need }) => sum + Math.max(0, need - have), 0);
}

/**
 * A draft is called by what it says: the digest of what is signed in each file, whatever the
 * signatures. Brought twice it is the same one, and a service cannot change it under its name.
 * @param owner the vendor; undefined for the operators
 * @param parts the signed bytes of each file
 */
export function draftId(
  crypto: Crypto,
  owner: string | undefined,
  parts: readonly Uint8Array[],
): string {
  const digests = parts.map((bytes) => toHex(crypto.sha256(bytes))).sort();
  return toHex(
    crypto.sha256(concatBytes(utf8(`draft\n${owner ?? ''}\n${digests.join('\n')}\n`))),
  ).slice(0, 32);
}

/**
 * So many digits of an id, 64 bits, name one change for a signature. A service that makes up changes
 * until two of them begin alike finds eight digits that do in a minute, and these in no useful time.
 */
const SIGNED_DIGITS = 16;

/** As lists show the id of a change, and as `pending sign` takes it. */
export function shortDraftId({ id }: { readonly id: string }): string {
  return id.slice(0, SIGNED_DIGITS);
}

/** What is signed is named by enough of its id. `E_USAGE`. */
export function demandSignedDigits(given: string): void {
  if (given.length >= SIGNED_DIGITS) return;
  throw new IronError('E_USAGE', `${JSON.stringify(given)} is too little of an id to sign by`, {
    why: `other changes can be made that begin so; ${SIGNED_DIGITS} digits are enough`,
    hint: 'nothing was signed; take the id from whoever began the change, and look with `pending show`',
  });
}

/** Whether what is brought is one list of revocations and nothing else: then it collects signatures. */
export function isListAlone(
  files: readonly Uint8Array[],
): files is readonly [Uint8Array, ...Uint8Array[]] {
  const [only, ...others] = files;
  return only !== undefined && others.length === 0 && isListFile(only);
}

/**
 * What the name of a draft of the operators is made from: of a file that collects signatures what they
 * are over, of the others all bytes. `E_JSON`, `E_SCHEMA`, `E_REVOCATIONS`.
 */
export function operatorParts(files: readonly Uint8Array[]): Uint8Array[] {
  if (isListAlone(files)) return [listPart(readList(files[0]).envelope.payload)];
  return files.map((bytes) => collecting(bytes)?.signedBytes() ?? bytes);
}

/** What the name of a list that waits alone is made from. */
export function listPart(payload: Uint8Array): Uint8Array {
  return concatBytes(utf8(`${revocations.list}\n`), payload);
}

/** What the name of a vendor's draft is made from: its own role's signed bytes, and others by name. */
export function draftPart(vendor: string, role: string, signed: Uint8Array): Uint8Array {
  return role === vendor ? signed : concatBytes(utf8(`${role}\n`), signed);
}

/**
 * The envelope of a file of the operators that collects signatures: a root, or the targets that say
 * who the vendors are. Undefined for what goes along complete: a list of revocations that is not alone,
 * the role that lists it, a vendor's role. By what it says, and not by who signed it: with its signatures left
 * out, a file must not pass for one that needs none.
 */
export function collecting(bytes: Uint8Array): Envelope | undefined {
  if (isListFile(bytes) || isResignedRole(bytes)) return undefined;
  const envelope = parseEnvelope(bytes, METADATA_LIMITS.targets, 'file');
  const { signed, tree } = envelope;
  if (signed.get('_type').oneOf('root', 'targets') === 'root') return envelope;
  if (signed.get('targets').maybe(revocations.list) !== undefined) return undefined;
  return objectMember(tree, EXTENSION_FIELD).vendors === undefined ? undefined : envelope;
}
