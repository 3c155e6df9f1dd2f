/** Collection of what nothing lists any more, for the owner of the machine. */

import type { FastifyInstance } from 'fastify';
import { collectRequest } from '../../shared/api/retention.ts';
import { parseBody } from '../../shared/api/upload.ts';
import { IronError } from '../../shared/errors.ts';
import { api } from '../../shared/layout.ts';
import { collectionReply } from '../retention/reply.ts';
import type { AppParts } from './app.ts';
import { BodyRoom, readBody } from './body.ts';
import { isOwner } from './owner.ts';

/** A request is a line. */
const BODY = 1024;

export function addRetentionRoutes(app: FastifyInstance, parts: AppParts): void {
  const room = new BodyRoom(16 * BODY);
  app.post(api.retention, async (request, reply) => {
    if (!isOwner(request.raw, parts.ownerToken))
      throw new IronError('E_UNAUTHENTICATED', 'only the owner of the machine may collect', {
        hint: 'nothing was changed; run `ironport-repo retention collect` there',
      });
    const { dry_run } = parseBody(collectRequest, await readBody(request.raw, room, BODY));
    const collection = await parts.worker.collect(dry_run);
    return reply.header('cache-control', 'no-store').send(collectionReply(collection, dry_run));
  });
}
