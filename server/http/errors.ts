/** Errors as answers: the code's HTTP status and a document, whatever was thrown. */

import type { ServerResponse } from 'node:http';
import { errorBodyOf } from '../../shared/api/upload.ts';
import { IronError, isIronError } from '../../shared/errors.ts';

/** What is told to the caller. A defect of ours is not described to strangers. */
export function publicError(error: unknown): IronError {
  if (isIronError(error) && error.code !== 'E_INTERNAL') {
    // Paths of this machine are nobody's business.
    if (!isIronError(error, 'E_IO', 'E_STORE', 'E_NO_SPACE')) return error;
    return new IronError(error.code, CODE_WORDS[error.code] ?? 'the service cannot work now', {
      hint: 'try again later; the operator finds the cause in the log',
    });
  }
  if (isRequestError(error)) {
    return error.statusCode === 404
      ? new IronError('E_NOT_FOUND', 'there is nothing here')
      : new IronError('E_USAGE', error.message, { hint: 'nothing was changed' });
  }
  return new IronError('E_INTERNAL', 'a defect in this program', {
    hint: 'the operator finds it in the log',
  });
}

const CODE_WORDS: Partial<Record<IronError['code'], string>> = {
  E_NO_SPACE: 'the disk of the service is full',
  E_STORE: 'the repository is damaged',
};

/** Whether the fault is ours, so that the operator must hear of it. */
export function isOurs(error: unknown): boolean {
  if (isRequestError(error) || isGone(error)) return false;
  // These are about the caller, who is slow or one of too many.
  if (isIronError(error, 'E_SLOW', 'E_TRY_AGAIN')) return false;
  return !isIronError(error) || error.http >= 500;
}

/** The caller broke off: of the system, or of Node about a body that ended too early. */
function isGone(error: unknown): boolean {
  const codes = ['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'];
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/** The framework's refusals of requests carry a status of 4xx. */
function isRequestError(error: unknown): error is Error & { readonly statusCode: number } {
  if (!(error instanceof Error) || !('statusCode' in error)) return false;
  const { statusCode } = error;
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500;
}

export function errorDocument(error: IronError): { ok: false; error: object } {
  return { ok: false, error: errorBodyOf(error) };
}

/** Answers with an error where the framework has let go; after the headers it can only end. */
export function endWithError(response: ServerResponse, thrown: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const error = publicError(thrown);
  const body = JSON.stringify(errorDocument(error));
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  response.writeHead(error.http, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'access-control-allow-origin': '*',
    'cache-control': 'no-store',
  });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}
