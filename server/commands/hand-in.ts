/** Brings signed files to the service that runs, or publishes them itself when none does. */

import { join } from 'node:path';
import {
  OPERATOR_FILES_SCHEMA,
  type SubmissionReply,
  submissionReply,
} from '../../shared/api/upload.ts';
import { toBase64 } from '../../shared/bytes.ts';
import type { CommandContext } from '../../shared/cli/command.ts';
import { isIronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { api, data } from '../../shared/layout.ts';
import { readJsonFile } from '../../shared/node/files.ts';
import { SERVICE_SCHEMA } from '../service.ts';
import { askService, isRefusedConnection, type Reach } from './ask-service.ts';
import { openHere } from './run-service.ts';

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

/** What `operator/files` and `operator/pending` take. */
export function filesBody(files: readonly Uint8Array[]): object {
  return { schema: OPERATOR_FILES_SCHEMA, files: files.map(toBase64) };
}

/**
 * Hands the files to a service and waits for the end. Undefined when nothing listens there and
 * `mayBeGone`: what a service noted before it was killed.
 */
export async function handToService(
  context: CommandContext,
  reach: Reach,
  files: readonly Uint8Array[],
  mayBeGone: boolean,
): Promise<SubmissionReply | undefined> {
  try {
    const reply = await askService(context, reach, {
      method: 'POST',
      path: api.operatorFiles,
      body: filesBody(files),
      answer: submissionReply,
    });
    return await settled(context, reach, reply);
  } catch (error) {
    if (mayBeGone && isRefusedConnection(error)) return undefined;
    throw error;
  }
}

/** Waits until a submission is published or refused, two minutes at the most. */
export async function settled(
  context: CommandContext,
  reach: Reach,
  first: SubmissionReply,
): Promise<SubmissionReply> {
  const until = performance.now() + 120_000;
  let reply = first;
  while (reply.state === 'queued' && performance.now() < until)
    reply = await submission(context, reach, reply.id, 20);
  return reply;
}

/** What became of a submission, after at most `seconds`. */
export function submission(
  context: CommandContext,
  reach: Reach,
  id: string,
  seconds = 0,
): Promise<SubmissionReply> {
  const path = `${api.submission(id)}${seconds > 0 ? `?wait=${seconds}` : ''}`;
  return askService(context, reach, { path, answer: submissionReply });
}
