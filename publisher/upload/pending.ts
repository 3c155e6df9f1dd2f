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
import { SERVER_LIMITS } from '../../shared/limits.ts';
import type { Api, ApiRequest } from './api.ts';

/**
 * Brings the vendor's role, roles nested in it or both, with the signatures that they have; the answer
 * says what is missing still. `E_TOO_LARGE`.
 */
export function bringRoles(
  api: Api,
  vendor: string,
  own: Uint8Array | undefined,
  nested: readonly { readonly role: string; readonly bytes: Uint8Array }[] = [],
): Promise<DraftReply> {
  const others = nested.map(({ role, bytes }) => ({ role, metadata: toBase64(bytes) }));
  const document = {
    schema: DRAFT_ROLE_SCHEMA,
    role: vendor,
    ...(own === undefined ? {} : { metadata: toBase64(own) }),
    ...(others.length === 0 ? {} : { nested: others }),
  };
  const body = utf8(JSON.stringify(document));
  if (body.length > SERVER_LIMITS.body)
    throw new IronError('E_TOO_LARGE', `the roles of ${vendor} are too large to wait together`, {
      hint: 'nothing was sent; sign where all the keys are',
    });
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
  return parseBody(schema, await reply.bytes(SERVER_LIMITS.body));
}
