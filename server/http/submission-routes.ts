/** Submissions of vendors and of the operators, and what became of them. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { verifyBody } from '../../shared/api/http-signature.ts';
import {
  decodeFile,
  LONGEST_WAIT,
  operatorFilesRequest,
  parseBody,
  type SubmissionReply,
  submissionRequest,
} from '../../shared/api/upload.ts';
import { IronError } from '../../shared/errors.ts';
import { api } from '../../shared/layout.ts';
import { SERVER_LIMITS, TRANSPORT_LIMITS } from '../../shared/limits.ts';
import type { AppParts } from './app.ts';
import { awaitScanner, BodyRoom, readBody } from './body.ts';
import { headOf, targetOf } from './head.ts';
import { isOwner } from './owner.ts';

export function addSubmissionRoutes(app: FastifyInstance, parts: AppParts): void {
  const { intake, worker, names, crypto } = parts;
  // Apart from each other: what strangers send takes nothing from the vendors, and the owner of the
  // machine, whom the operators can always ask, is never turned away.
  const rooms = { vendors: newRoom(), strangers: newRoom(), owner: newRoom() };

  app.post(api.submissions, async (request, reply) => {
    const head = headOf(request.raw, names());
    const vendor = await intake.authenticate(head);
    const body = await readBody(request.raw, rooms.vendors);
    verifyBody(crypto, head, body);
    const { role, metadata, bins = [], nested = [] } = parseBody(submissionRequest, body);
    const bytes = metadata === undefined ? undefined : decodeFile(metadata);
    awaitScanner(request.raw);
    const answer = await intake.submitRole({ vendor, role, bytes, below: [...bins, ...nested] });
    worker.kick();
    return accepted(reply, answer);
  });

  app.post(api.operatorFiles, async (request, reply) => {
    const first = isOwner(request.raw, parts.ownerToken);
    const body = await readBody(request.raw, first ? rooms.owner : rooms.strangers);
    const { files } = parseBody(operatorFilesRequest, body);
    const answer = await intake.submitOperatorFiles(files.map(decodeFile), first);
    worker.kick();
    return accepted(reply, answer);
  });

  app.get(`${api.submissions}/:id`, async (request, reply) => {
    const { id } = request.params as { id: string };
    const seconds = waitOf(request);
    // The operators' files carry their own authority; whoever has the random id may ask.
    const vendor = intake.isOperators(id)
      ? undefined
      : await intake.authenticate(headOf(request.raw, names()));
    intake.find(id, vendor);
    // The wait is ours, not a silence of the caller's.
    request.raw.socket.setTimeout((seconds + TRANSPORT_LIMITS.idleSeconds) * 1000);
    await worker.settled(id, seconds, goneSignal(reply));
    return reply
      .header('cache-control', 'no-store')
      .send(await intake.withReview(intake.find(id, vendor)));
  });
}

function newRoom(): BodyRoom {
  return new BodyRoom(SERVER_LIMITS.bodies);
}

function accepted(reply: FastifyReply, answer: SubmissionReply): FastifyReply {
  return reply.code(202).header('location', api.submission(answer.id)).send(answer);
}

function waitOf(request: FastifyRequest): number {
  const { query } = targetOf(request.raw);
  if (query === '') return 0;
  const match = /^\?wait=(\d{1,3})$/.exec(query);
  if (match === null || Number(match[1]) > LONGEST_WAIT) {
    throw new IronError('E_USAGE', `only ?wait=SECONDS is understood, of at most ${LONGEST_WAIT}`);
  }
  return Number(match[1]);
}

/** Aborted when the caller has gone. */
function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  return gone.signal;
}
