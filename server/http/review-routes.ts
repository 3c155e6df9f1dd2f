/** What waits for reviewers, shown to the owner of the machine; and what reviewers decide. */

import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { IronError } from '../../shared/errors.ts';
import { api } from '../../shared/layout.ts';
import { REVIEW_LIMITS } from '../../shared/limits.ts';
import type { AppParts } from './app.ts';
import { BodyRoom, readBody } from './body.ts';
import { isOwner } from './owner.ts';

/** How long the answer to a decision waits for the publication that it leads to. */
const SETTLE_SECONDS = 20;

export function addReviewRoutes(app: FastifyInstance, parts: AppParts): void {
  const { desk, worker, ownerToken } = parts;
  // Of strangers, too: apart from everybody else's.
  const room = new BodyRoom(8 * REVIEW_LIMITS.statement);

  app.get(api.reviews, async (request, reply) => {
    demandOwner(request.raw, ownerToken);
    return unstored(reply).send(await desk.list(request.url.endsWith('?all')));
  });
  app.get(`${api.reviews}/:id`, async (request, reply) => {
    demandOwner(request.raw, ownerToken);
    return unstored(reply).send(await desk.find(idOf(request)));
  });
  app.get(`${api.reviews}/:id/files/:sha256`, async (request, reply) => {
    demandOwner(request.raw, ownerToken);
    const { sha256 } = request.params as { sha256: string };
    const { length, bytes } = await desk.open(idOf(request), sha256);
    return unstored(reply)
      .header('content-type', 'application/octet-stream')
      .header('content-length', length)
      .send(bytes);
  });
  app.post(`${api.reviews}/:id`, async (request, reply) => {
    // Nobody is asked who it is: the statement counts by its signature, and its body is small.
    const body = await readBody(request.raw, room, REVIEW_LIMITS.statement);
    const id = idOf(request);
    const { state } = await desk.decide(id, body);
    if (state === 'queued') {
      worker.kick();
      await worker.settled(id, SETTLE_SECONDS);
    }
    return unstored(reply).send(await desk.outcome(id));
  });
}

function idOf(request: FastifyRequest): string {
  return (request.params as { id: string }).id;
}

/** What waits is embargoed: it may never be published. */
function demandOwner(request: IncomingMessage, token: string): void {
  if (isOwner(request, token)) return;
  throw new IronError('E_UNAUTHENTICATED', 'only the owner of the machine is shown what waits', {
    hint: 'nothing was changed; run `ironport-repo review` there',
  });
}

function unstored(reply: FastifyReply): FastifyReply {
  return reply.header('cache-control', 'no-store');
}
