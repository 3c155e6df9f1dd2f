/** Changes that wait for signatures: bringing them, and looking at them. */

import type { FastifyInstance, FastifyReply } from 'fastify';
import { verifyBody } from '../../shared/api/http-signature.ts';
import { type DraftReply, draftRoleRequest } from '../../shared/api/pending.ts';
import { decodeFile, operatorFilesRequest, parseBody } from '../../shared/api/upload.ts';
import { IronError } from '../../shared/errors.ts';
import { api } from '../../shared/layout.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import type { AppParts } from './app.ts';
import { awaitScanner, BodyRoom, readBody } from './body.ts';
import { headOf } from './head.ts';
import { isOwner } from './owner.ts';

export function addPendingRoutes(app: FastifyInstance, parts: AppParts): void {
  addOperators(app, parts);
  addVendors(app, parts);
}

/**
 * Nobody is asked who it is: what is brought counts by its signatures, and what is shown will be
 * public, or nothing. What must not be seen before its time goes from signer to signer as a file.
 */
function addOperators(app: FastifyInstance, { pending, worker, ownerToken }: AppParts): void {
  const room = new BodyRoom(SERVER_LIMITS.bodies);

  app.post(api.operatorDrafts, async (request, reply) => {
    const body = await readBody(request.raw, room);
    const { files } = parseBody(operatorFilesRequest, body);
    const answer = await pending.takeOperators(files.map(decodeFile));
    worker.kick();
    return taken(reply, answer, api.operatorDraft(answer.id));
  });
  app.get(api.operatorDrafts, async (_request, reply) =>
    unstored(reply).send({ drafts: await pending.list(undefined) }),
  );
  app.get(`${api.operatorDrafts}/:id`, async (request, reply) => {
    const { id } = request.params as { id: string };
    return unstored(reply).send(await pending.find(id, undefined));
  });
  app.delete(`${api.operatorDrafts}/:id`, async (request, reply) => {
    if (!isOwner(request.raw, ownerToken))
      throw new IronError('E_UNAUTHENTICATED', 'only the owner of the machine drops a change', {
        hint: 'nothing was changed; run `ironport-repo pending drop` there',
      });
    const { id } = request.params as { id: string };
    return unstored(reply).send(await pending.drop(id));
  });
}

/** Of the vendor whose API key signed the request, and of no other. */
function addVendors(app: FastifyInstance, parts: AppParts): void {
  const { intake, pending, worker, names, crypto } = parts;
  const room = new BodyRoom(SERVER_LIMITS.bodies);

  app.post(api.drafts, async (request, reply) => {
    const head = headOf(request.raw, names());
    const vendor = await intake.authenticate(head);
    const body = await readBody(request.raw, room);
    verifyBody(crypto, head, body);
    const { role, metadata, nested = [] } = parseBody(draftRoleRequest, body);
    const own = metadata === undefined ? [] : [{ role, metadata }];
    const files = [...own, ...nested].map((file) => ({
      role: file.role,
      bytes: decodeFile(file.metadata),
    }));
    awaitScanner(request.raw);
    const answer = await pending.takeRoles(vendor, files);
    worker.kick();
    return taken(reply, answer, api.draft(answer.id));
  });
  app.get(api.drafts, async (request, reply) => {
    const vendor = await intake.authenticate(headOf(request.raw, names()));
    return unstored(reply).send({ drafts: await pending.list(vendor) });
  });
  app.get(`${api.drafts}/:id`, async (request, reply) => {
    const vendor = await intake.authenticate(headOf(request.raw, names()));
    const { id } = request.params as { id: string };
    return unstored(reply).send(await pending.find(id, vendor));
  });
}

function taken(reply: FastifyReply, answer: DraftReply, place: string): FastifyReply {
  return unstored(reply).code(202).header('location', place).send(answer);
}

function unstored(reply: FastifyReply): FastifyReply {
  return reply.header('cache-control', 'no-store');
}
