/** Uploads: room for a blob, how much of it is there, more of it, and no more of it. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BATCH_TYPE, parseBatch } from '../../shared/api/blob-batch.ts';
import { verifyBody } from '../../shared/api/http-signature.ts';
import { formatUploadMetadata, UPLOAD_EXPIRES, UPLOAD_METADATA } from '../../shared/api/tus.ts';
import { UPLOAD_LENGTH, UPLOAD_OFFSET, UPLOAD_TYPE } from '../../shared/api/upload.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { api } from '../../shared/layout.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import type { BlobState, Piece } from '../intake/receive.ts';
import type { AppParts } from './app.ts';
import { BodyBuffers, BodyRoom, bodyOf, readBody } from './body.ts';
import { errorDocument } from './errors.ts';
import { headOf } from './head.ts';
import { isTus, readCreation, speakTus, TUS_FIELDS } from './tus.ts';

export function addBlobRoutes(app: FastifyInstance, parts: AppParts): void {
  const { intake, names, crypto } = parts;
  const room = new BodyRoom(SERVER_LIMITS.bodies);
  const buffers = new BodyBuffers();
  // Before a byte of a body is looked at.
  const callerOf = (request: FastifyRequest): Promise<string> =>
    intake.authenticate(headOf(request.raw, names()));

  for (const path of [api.blobs, api.blob(':sha256')])
    app.options(path, async (_request, reply) => reply.code(204).headers(TUS_FIELDS).send());

  app.post(api.blobs, async (request, reply) => {
    if (!speakTus(request, reply)) return reply;
    if (isTus(request)) {
      const vendor = await callerOf(request);
      const sha256 = readCreation(request);
      const state = await intake.receiver.create(vendor, sha256, countOf(request, UPLOAD_LENGTH));
      return stateHeaders(reply, state, sha256)
        .header('location', api.blob(sha256))
        .code(201)
        .send();
    }
    if (request.headers['content-type'] !== BATCH_TYPE)
      throw new IronError('E_USAGE', `a batch of blobs has the content type ${BATCH_TYPE}`);
    const head = headOf(request.raw, names());
    const vendor = await intake.authenticate(head);
    const answer = await buffers.lend(async (buffer) => {
      const body = await readBody(request.raw, room, SERVER_LIMITS.body, buffer);
      verifyBody(crypto, head, body);
      return await intake.receiver.receiveBatch(vendor, parseBatch(body));
    });
    return reply.header('cache-control', 'no-store').send(answer);
  });

  app.head(api.blob(':sha256'), async (request, reply) => {
    if (!speakTus(request, reply)) return reply;
    const vendor = await callerOf(request);
    const sha256 = digestOf(request);
    const state = await intake.receiver.state(vendor, sha256);
    if (state === undefined) throw notHere();
    return stateHeaders(reply, state, sha256).code(200).send();
  });

  app.patch(api.blob(':sha256'), async (request, reply) => {
    if (!speakTus(request, reply)) return reply;
    if (request.headers['content-type'] !== UPLOAD_TYPE) {
      throw new IronError('E_USAGE', `an upload has the content type ${UPLOAD_TYPE}`);
    }
    const vendor = await callerOf(request);
    const sha256 = digestOf(request);
    const offset = countOf(request, UPLOAD_OFFSET);
    const length = isTus(request)
      ? await lengthOf(request, parts, { vendor, sha256, offset })
      : countOf(request, UPLOAD_LENGTH);
    const piece: Piece = { vendor, sha256, offset, length, bytes: bodyOf(request.raw) };
    try {
      return stateHeaders(reply, await intake.receiver.receive(piece), sha256)
        .code(204)
        .send();
    } catch (error) {
      const { offset: here } = isIronError(error, 'E_CONFLICT') ? error.context : {};
      if (typeof here === 'number') reply.header(UPLOAD_OFFSET, here);
      return locked(error, request, reply);
    }
  });

  app.delete(api.blob(':sha256'), async (request, reply) => {
    if (!speakTus(request, reply)) return reply;
    const vendor = await callerOf(request);
    try {
      await intake.receiver.terminate(vendor, digestOf(request));
    } catch (error) {
      return locked(error, request, reply);
    }
    return reply.code(204).header('cache-control', 'no-store').send();
  });
}

/**
 * Length of a blob that was created before. `E_NOT_FOUND`; `E_LENGTH` when the piece ends after it,
 * before a byte of it was read.
 */
async function lengthOf(
  request: FastifyRequest,
  { intake }: AppParts,
  { vendor, sha256, offset }: Pick<Piece, 'vendor' | 'sha256' | 'offset'>,
): Promise<number> {
  const state = await intake.receiver.state(vendor, sha256);
  if (state === undefined) throw notHere();
  const end = offset + countOf(request, 'content-length');
  // A piece that does not begin where the blob ends is refused for that.
  if (offset === state.offset && end > state.length)
    throw new IronError('E_LENGTH', `the piece ends at ${end}, the blob at ${state.length}`, {
      hint: 'nothing was changed; send what is missing and no more',
      context: { offset: state.offset, length: state.length },
    });
  return state.length;
}

/** That somebody else is sending it is 423 to a client of tus, which comes again by itself. */
function locked(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (!isTus(request) || !isIronError(error, 'E_TRY_AGAIN')) throw error;
  return reply.code(423).header('cache-control', 'no-store').send(errorDocument(error));
}

function notHere(): IronError {
  return new IronError('E_NOT_FOUND', 'nothing of this blob is here', {
    hint: 'nothing was changed; create it first',
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

function stateHeaders(reply: FastifyReply, state: BlobState, sha256: string): FastifyReply {
  const { offset, length, expires } = state;
  if (expires !== undefined) reply.header(UPLOAD_EXPIRES, new Date(expires * 1000).toUTCString());
  return reply
    .header(UPLOAD_OFFSET, offset)
    .header(UPLOAD_LENGTH, length)
    .header(UPLOAD_METADATA, formatUploadMetadata(sha256))
    .header('cache-control', 'no-store');
}
