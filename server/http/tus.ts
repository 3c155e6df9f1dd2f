/**
 * The tus 1.0.0 face of uploads: creation, and what its requests and answers carry besides. The
 * library that the field has for it cannot keep what is promised here (ADR 0049).
 */

import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  parseUploadMetadata,
  TUS_EXTENSIONS,
  TUS_RESUMABLE,
  TUS_VERSION,
  UPLOAD_METADATA,
} from '../../shared/api/tus.ts';
import { IronError } from '../../shared/errors.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import { errorDocument } from './errors.ts';

/** What `OPTIONS` answers: nothing in it is secret, and nobody need sign to be told. */
export const TUS_FIELDS: Readonly<Record<string, string>> = {
  [TUS_RESUMABLE]: TUS_VERSION,
  'tus-version': TUS_VERSION,
  'tus-extension': TUS_EXTENSIONS,
  'tus-max-size': String(SERVER_LIMITS.artifact),
};

export function isTus(request: FastifyRequest): boolean {
  return request.headers[TUS_RESUMABLE] !== undefined;
}

/**
 * Marks the answer to a request of tus, errors included. False when it is of another version: then
 * 412 was answered (tus, core, Tus-Resumable), and the request must not be looked at further.
 */
export function speakTus(request: FastifyRequest, reply: FastifyReply): boolean {
  if (!isTus(request)) return true;
  reply.header(TUS_RESUMABLE, TUS_VERSION);
  if (request.headers[TUS_RESUMABLE] === TUS_VERSION) return true;
  const error = new IronError('E_USAGE', 'this version of the tus protocol is not spoken here', {
    hint: `nothing was changed; speak ${TUS_VERSION}`,
  });
  reply.code(412).header('tus-version', TUS_VERSION).send(errorDocument(error));
  return false;
}

/** The digest of a blob that is to be created. `E_USAGE` on a body, or a length that is unknown. */
export function readCreation(request: FastifyRequest): string {
  const { headers } = request;
  // Not covered by the signature, so it may not be there (creation-with-upload is not offered).
  const hasBody = headers['transfer-encoding'] !== undefined;
  if (hasBody || (headers['content-length'] ?? '0') !== '0')
    throw new IronError('E_USAGE', 'the creation of an upload has no body', {
      hint: 'nothing was changed; send the bytes with PATCH',
    });
  if (headers['upload-defer-length'] !== undefined)
    throw new IronError('E_USAGE', 'an upload whose length is unknown is not taken', {
      hint: 'nothing was changed; send upload-length',
    });
  const metadata = headers[UPLOAD_METADATA];
  return parseUploadMetadata(typeof metadata === 'string' ? metadata : undefined);
}
