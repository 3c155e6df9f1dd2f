/** Handing in a signed role, and waiting for what becomes of it. */

import { setTimeout } from 'node:timers/promises';
import {
  errorFromBody,
  LONGEST_WAIT,
  parseBody,
  SUBMISSION_SCHEMA,
  type SubmissionReply,
  submissionReply,
  type UploadedRole,
  type Verdict,
} from '../../shared/api/upload.ts';
import { toBase64, utf8 } from '../../shared/bytes.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { PUBLISHER_LIMITS, SERVER_LIMITS } from '../../shared/limits.ts';
import type { Api } from './api.ts';

/** What is handed in: the role itself, bins of it or nested roles that were uploaded, or both. */
export interface HandedIn {
  readonly metadata?: Uint8Array | undefined;
  readonly bins?: readonly UploadedRole[];
  readonly nested?: readonly UploadedRole[];
}

/** Hands it in; returns the first answer, which has the id to ask for. */
export async function submit(
  api: Api,
  role: string,
  { metadata, bins = [], nested = [] }: HandedIn,
): Promise<SubmissionReply> {
  const document = {
    schema: SUBMISSION_SCHEMA,
    role,
    ...(metadata === undefined ? {} : { metadata: toBase64(metadata) }),
    ...(bins.length === 0 ? {} : { bins }),
    ...(nested.length === 0 ? {} : { nested }),
  };
  const body = utf8(JSON.stringify(document));
  if (body.length > SERVER_LIMITS.body)
    throw new IronError('E_TOO_LARGE', `the role ${role} is too large to be handed in`);
  const reply = await api.send({
    method: 'POST',
    path: 'submissions',
    headers: { 'content-type': 'application/json' },
    body,
  });
  if (reply.status !== 202) throw await api.failure(reply);
  return parseBody(submissionReply, await reply.bytes(SERVER_LIMITS.body));
}

/**
 * Waits until the submission is published or refused. `E_TRY_AGAIN` when it still is neither
 * after PUBLISHER_LIMITS.submissionSeconds.
 */
export async function waitFor(api: Api, first: SubmissionReply): Promise<SubmissionReply> {
  const until = performance.now() + PUBLISHER_LIMITS.submissionSeconds * 1000;
  let reply = first;
  for (let failures = 0; reply.state === 'queued'; ) {
    if (performance.now() > until) {
      throw new IronError('E_TRY_AGAIN', `submission ${first.id} waits in the queue still`, {
        hint: 'it may be published yet; run the command again later: nothing is published twice',
        context: { id: first.id },
      });
    }
    try {
      reply = await ask(api, first.id, LONGEST_WAIT);
      failures = 0;
    } catch (error) {
      // It is durable there: that a connection broke off says nothing about it.
      failures += 1;
      if (
        !isIronError(error, 'E_NETWORK', 'E_SLOW', 'E_TRY_AGAIN') ||
        failures >= PUBLISHER_LIMITS.attempts
      )
        throw error;
    }
    if (reply.state === 'queued') await pause(api);
  }
  return reply;
}

/** The service waits for us; this is for one that does not. */
async function pause({ signal }: Api): Promise<void> {
  await setTimeout(100, undefined, signal === undefined ? {} : { signal });
}

/** What became of a submission, after at most `wait` seconds. */
export async function ask(api: Api, id: string, wait = 0): Promise<SubmissionReply> {
  const reply = await api.send({
    method: 'GET',
    path: `submissions/${encodeURIComponent(id)}`,
    query: `?wait=${wait}`,
  });
  if (reply.status !== 200) throw await api.failure(reply);
  return parseBody(submissionReply, await reply.bytes(SERVER_LIMITS.body));
}

/** One line a check. */
export function verdictLine({ check, ok, detail, code }: Verdict): string {
  return `${ok ? 'ok     ' : 'REFUSED'} ${check}: ${detail}${code === undefined ? '' : ` (${code})`}`;
}

/** Why a submission was refused, as an error of ours. */
export function refusalOf({ error, verdicts, id }: SubmissionReply): IronError {
  if (error !== undefined) return errorFromBody(error);
  const failed = verdicts.find(({ ok }) => !ok);
  return new IronError(failed?.code ?? 'E_POLICY', failed?.detail ?? 'the submission was refused', {
    ...(failed === undefined ? {} : { why: `the check "${failed.check}" refused` }),
    hint: 'nothing was published; what was uploaded is kept for a while',
    context: { id },
  });
}
