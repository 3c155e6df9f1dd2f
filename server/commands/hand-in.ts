/** Brings signed files to the service that runs, or publishes them itself when none does. */

import { join } from 'node:path';
import {
  errorFromBody,
  errorReply,
  OPERATOR_FILES_SCHEMA,
  type SubmissionReply,
  submissionReply,
} from '../../shared/api/upload.ts';
import { toBase64 } from '../../shared/bytes.ts';
import type { CommandContext } from '../../shared/cli/command.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import { api, data } from '../../shared/layout.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import { readJsonFile } from '../../shared/node/files.ts';
import { SERVICE_SCHEMA } from '../service.ts';
import { openHere } from './run-service.ts';

/** A service and what its owner may do there. */
export interface Reach {
  readonly url: string;
  readonly token: string | undefined;
}

/** Where the service of this folder says that it runs; undefined when it says nothing. */
export async function runningService(home: string): Promise<Reach | undefined> {
  try {
    const node = new Node(await readJsonFile(join(home, data.service), 4096), 'service.json');
    node.get('schema').oneOf(SERVICE_SCHEMA);
    return { url: node.get('url').string(), token: node.get('token').string() };
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** Publishes by ourselves, holding the writer's lock. `E_LOCKED` when a service holds it. */
export async function publishHere(
  context: CommandContext,
  home: string,
  files: readonly Uint8Array[],
): Promise<SubmissionReply> {
  const repository = await openHere(context, home, 'ironport-repo submit');
  try {
    const { id } = await repository.intake.submitOperatorFiles(files, true);
    await repository.worker.drain();
    return repository.intake.find(id, undefined);
  } finally {
    await repository.close();
  }
}

/**
 * Hands the files to a service and waits for the end. Undefined when nothing listens there and
 * `mayBeGone`: what a service noted before it was killed.
 */
export async function handToService(
  context: CommandContext,
  { url, token }: Reach,
  files: readonly Uint8Array[],
  mayBeGone: boolean,
): Promise<SubmissionReply | undefined> {
  const body = JSON.stringify({ schema: OPERATOR_FILES_SCHEMA, files: files.map(toBase64) });
  const headers = {
    'content-type': 'application/json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  let response: Response;
  try {
    const target = new URL(api.operatorFiles, url);
    response = await fetch(target, { method: 'POST', headers, body, signal: context.signal });
  } catch (cause) {
    context.signal.throwIfAborted();
    if (mayBeGone && isRefusedConnection(cause)) return undefined;
    throw unreachable(url, cause);
  }
  let reply = await replyOf(response);
  const until = performance.now() + 120_000;
  while (reply.state === 'queued' && performance.now() < until) {
    const target = new URL(`${api.submission(reply.id)}?wait=20`, url);
    reply = await replyOf(
      await fetch(target, { signal: context.signal }).catch((cause) => {
        context.signal.throwIfAborted();
        throw unreachable(url, cause);
      }),
    );
  }
  return reply;
}

function isRefusedConnection(cause: unknown): boolean {
  const inner = cause instanceof Error ? cause.cause : undefined;
  return inner instanceof Error && 'code' in inner && inner.code === 'ECONNREFUSED';
}

function unreachable(url: string, cause: unknown): IronError {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  return new IronError('E_NETWORK', `${url} cannot be reached`, {
    why: inner instanceof Error ? inner.message : String(inner),
    hint: 'look whether the service runs: `ironport-repo status`',
    cause,
  });
}

async function replyOf(response: Response): Promise<SubmissionReply> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  const tree = parseJson(bytes, { length: SERVER_LIMITS.body });
  const refused = errorReply.safeParse(tree);
  if (refused.success) throw errorFromBody(refused.data.error);
  const reply = submissionReply.safeParse(tree);
  if (reply.success) return reply.data;
  throw new IronError('E_NETWORK', `what answers is not a repository: HTTP ${response.status}`);
}
