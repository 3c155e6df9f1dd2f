/** The vendor's changes that wait at the service for signatures. */

import type * as z from 'zod';
import {
  DRAFT_ROLE_SCHEMA,
  type DraftReply,
  draftList,
  draftReply,
} from '../../shared/api/pending.ts';
import { parseBody } from '../../shared/api/upload.ts';
import { toBase64, utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { DRAFT_LIMITS, SERVER_LIMITS } from '../../shared/limits.ts';
import type { Api, ApiRequest } from './api.ts';

/** Most bytes of an answer. */
const ANSWER = 2 * SERVER_LIMITS.body;

/** Bytes of role files, beside what names them, that a proposal can have: they go as base64. */
const PROPOSAL = Math.floor((SERVER_LIMITS.body * 3) / 4) - 512 * (DRAFT_LIMITS.files + 1);

/** Whether roles can wait together, as one proposal. */
export function canWait(files: readonly { readonly bytes: Uint8Array }[]): boolean {
  const bytes = files.reduce((sum, file) => sum + file.bytes.length, 0);
  return fitsOneChange(files.length, bytes);
}

/** The same of so many files, of so many bytes in all. */
export function fitsOneChange(files: number, bytes: number): boolean {
  return files <= DRAFT_LIMITS.files && bytes <= PROPOSAL;
}

/**
 * Brings the vendor's role, roles below it (nested ones or bins) or both, with the signatures that they
 * have; the answer says what is missing still. `E_TOO_LARGE`.
 */
export function bringRoles(
  api: Api,
  vendor: string,
  own: Uint8Array | undefined,
  below: readonly { readonly role: string; readonly bytes: Uint8Array }[] = [],
): Promise<DraftReply> {
  if (!canWait([...(own === undefined ? [] : [{ bytes: own }]), ...below]))
    throw new IronError('E_TOO_LARGE', `the roles of ${vendor} are too large to wait together`, {
      why: `at most ${DRAFT_LIMITS.files} files of ${PROPOSAL} bytes wait as one change`,
      hint: 'nothing was sent; publish fewer artifacts at a time. A division goes around in a folder: `ironport split --out FOLDER`, and each signer in turn `ironport sign FOLDER`. `ironport renew`, and `ironport split` after an exchange of keys, go on in as many changes as it takes',
    });
  const others = below.map(({ role, bytes }) => ({ role, metadata: toBase64(bytes) }));
  const document = {
    schema: DRAFT_ROLE_SCHEMA,
    role: vendor,
    ...(own === undefined ? {} : { metadata: toBase64(own) }),
    ...(others.length === 0 ? {} : { nested: others }),
  };
  const body = utf8(JSON.stringify(document));
  return ask(api, 202, draftReply, {
    method: 'POST',
    path: 'pending',
    headers: { 'content-type': 'application/json' },
    body,
  });
}

export async function listDrafts(api: Api): Promise<DraftReply[]> {
  const { drafts } = await ask(api, 200, draftList, { method: 'GET', path: 'pending' });
  return drafts;
}

/** One of them, with its files while it waits; whether it is this one is for the caller to see. `E_NOT_FOUND`. */
export function findDraft(api: Api, id: string): Promise<DraftReply> {
  return ask(api, 200, draftReply, { method: 'GET', path: `pending/${encodeURIComponent(id)}` });
}

async function ask<T>(
  api: Api,
  status: number,
  schema: z.ZodType<T>,
  request: ApiRequest,
): Promise<T> {
  const reply = await api.send(request);
  if (reply.status !== status) throw await api.failure(reply);
  // What was brought comes back, with what is said of each file.
  return parseBody(schema, await reply.bytes(ANSWER), ANSWER);
}
