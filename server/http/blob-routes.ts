/** Uploads: how much of a blob is there, and more of it. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BATCH_TYPE, parseBatch } from '../../shared/api/blob-batch.ts';
import { verifyBody } from '../../shared/api/http-signature.ts';
import { UPLOAD_LENGTH, UPLOAD_OFFSET, UPLOAD_TYPE } from '../../shared/api/upload.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { api } from '../../shared/layout.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import type { BlobState } from '../intake/receive.ts';
import type { AppParts } from './app.ts';
import { BodyRoom, bodyOf, readBody } from './body.ts';
import { headOf } from './head.ts';

export function addBlobRoutes(app: FastifyInstance, parts: AppParts): void {
  const { intake, names, crypto } = parts;
  const room = new BodyRoom(SERVER_LIMITS.bodies);

  app.post(api.blobs, async (request, reply) => {
    if (request.headers['content-type'] !== BATCH_TYPE)
      throw new IronError('E_USAGE', `a batch of blobs has the content type ${BATCH_TYPE}`);
    const head = headOf(request.raw, names());
    const vendor = await intake.authenticate(head);
    const body = await readBody(request.raw, room);
    verifyBody(crypto, head, body);
    const answer = await intake.receiver.receiveBatch(vendor, parseBatch(body));
    return reply.header('cache-control', 'no-store').send(answer);
  });

  app.head(api.blob(':sha256'), async (request, reply) => {
    const vendor = await intake.authenticate(headOf(request.raw, names()));
    const state = await intake.receiver.state(vendor, digestOf(request));
    if (state === undefined) throw new IronError('E_NOT_FOUND', 'nothing of this blob is here');
    return stateHeaders(reply, state).code(200).send();
  });

  app.patch(api.blob(':sha256'), async (request, reply) => {
    if (request.headers['content-type'] !== UPLOAD_TYPE) {
      throw new IronError('E_USAGE', `an upload has the content type ${UPLOAD_TYPE}`);
    }
    // Before a byte of the body is looked at.
    const vendor = await intake.authenticate(headOf(request.raw, names()));
    const piece = {
      vendor,
      sha256: digestOf(request),
      offset: countOf(request, UPLOAD_OFFSET),
      length: countOf(request, UPLOAD_LENGTH),
      bytes: bodyOf(request.raw),
    };
    try {
      return stateHeaders(reply, await intake.receiver.receive(piece))
        .code(204)
        .send();
    } catch (error) {
      const { offset } = isIronError(error, 'E_CONFLICT') ? error.context : {};
      if (typeof offset === 'number') reply.header(UPLOAD_OFFSET, offset);
      throw error;
    }
  });
}

function digestOf(request: FastifyRequest): string {
  const { sha256 } = request.params as { sha256: string };
  if (/^[0-9a-f]{64}$/.test(sha256)) return sha256;
  throw new IronError(
    'E_USAGE',
    'a blob is called by its SHA-256, 64 lower-case hexadecimal digits',
  );
}

/** A number of bytes in a header field that the signature covers. */
function countOf(request: FastifyRequest, name: string): number {
  const text = request.headers[name];
  if (typeof text === 'string' && /^(0|[1-9]\d{0,14})$/.test(text)) return Number(text);
  throw new IronError('E_USAGE', `the field ${name} is not a number of bytes`);
}

function stateHeaders(reply: FastifyReply, { offset, length }: BlobState): FastifyReply {
  return reply
    .header(UPLOAD_OFFSET, offset)
    .header(UPLOAD_LENGTH, length)
    .header('cache-control', 'no-store');
}
