/** Requests of the operators' commands to the service, and the files that it shows. */

import type * as z from 'zod';
import { errorFromBody, errorReply } from '../../shared/api/upload.ts';
import type { CommandContext } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { parseJson } from '../../shared/json/read.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';

/** A service and what its owner may do there. */
export interface Reach {
  readonly url: string;
  readonly token: string | undefined;
}

export interface Question<T> {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  /** Path and query. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: object;
  readonly answer: z.ZodType<T>;
}

/** Most bytes of one answer: a draft with all of its files in base64. */
const ANSWER = 2 * SERVER_LIMITS.body;

/**
 * Asks, and reads the answer. Throws the service's own error; `E_NETWORK` when nobody answers, or
 * somebody else.
 */
export async function askService<T>(
  context: CommandContext,
  { url, token }: Reach,
  { method = 'GET', path, body, answer }: Question<T>,
): Promise<T> {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  const response = await send(context, url, path, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const tree = parseJson(await readCapped(response, ANSWER), { length: ANSWER, depth: 12 });
  const refused = errorReply.safeParse(tree);
  if (refused.success) throw errorFromBody(refused.data.error);
  const reply = answer.safeParse(tree);
  if (reply.success) return reply.data;
  throw new IronError('E_NETWORK', `what answers is not a repository: HTTP ${response.status}`);
}

/** The bytes at a place that only the owner is shown. Throws the service's own error. */
export async function fetchFrom(
  context: CommandContext,
  { url, token }: Reach,
  path: string,
): Promise<ReadableStream<Uint8Array>> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await send(context, url, path, { headers });
  if (response.status === 200 && response.body !== null) return response.body;
  const tree = parseJson(await readCapped(response, ANSWER), { length: ANSWER, depth: 12 });
  const refused = errorReply.safeParse(tree);
  if (refused.success) throw errorFromBody(refused.data.error);
  throw new IronError('E_NETWORK', `what answers is not a repository: HTTP ${response.status}`);
}

/** A file of the tree that the service shows; undefined when it says that there is none. */
export async function fetchShown(
  context: CommandContext,
  url: string,
  path: string,
  cap: number,
): Promise<Uint8Array | undefined> {
  const response = await send(context, url, `/${path}`, {});
  if (response.status === 200) return await readCapped(response, cap);
  await response.body?.cancel();
  if (response.status === 404 || response.status === 403) return undefined;
  throw new IronError('E_NETWORK', `${url} answered HTTP ${response.status} for ${path}`);
}

async function send(
  context: CommandContext,
  url: string,
  path: string,
  init: RequestInit,
): Promise<Response> {
  try {
    return await fetch(new URL(path, url), { ...init, signal: context.signal });
  } catch (cause) {
    context.signal.throwIfAborted();
    throw unreachable(url, cause);
  }
}

async function readCapped(response: Response, cap: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    // Leaving the loop ends the body: no more of it is read.
    if (length > cap) throw new IronError('E_TOO_LARGE', `the answer has more than ${cap} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Whether nothing listens there at all. */
export function isRefusedConnection(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause)
    if ('code' in at && at.code === 'ECONNREFUSED') return true;
  return false;
}

function unreachable(url: string, cause: unknown): IronError {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  return new IronError('E_NETWORK', `${url} cannot be reached`, {
    why: inner instanceof Error ? inner.message : String(inner),
    hint: 'look whether the service runs: `ironport-repo status`',
    cause,
  });
}
