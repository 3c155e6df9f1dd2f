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
import { SERVER_LIMITS } from '../../shared/limits.ts';
import type { Api, ApiRequest } from './api.ts';

/** Brings a role with the signatures that it has; the answer says what is missing still. */
export function bringRole(api: Api, role: string, metadata: Uint8Array): Promise<DraftReply> {
  const document = { schema: DRAFT_ROLE_SCHEMA, role, metadata: toBase64(metadata) };
  return ask(api, 202, draftReply, {
    method: 'POST',
    path: 'pending',
    headers: { 'content-type': 'application/json' },
    body: utf8(JSON.stringify(document)),
  });
}

export async function listDrafts(api: Api): Promise<DraftReply[]> {
  const { drafts } = await ask(api, 200, draftList, { method: 'GET', path: 'pending' });
  return drafts;
}

/** One of them, with its file while it waits. `E_NOT_FOUND`. */
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
