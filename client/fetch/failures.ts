/** What goes wrong on the way, in our codes, and what of it is worth another try. */

import { IronError } from '../../shared/errors.ts';
import { fromErrno, isErrno } from '../../shared/node/errno.ts';

/** The coded form of whatever a request ended with. */
export function asFetchError(error: unknown, url: string): IronError {
  if (error instanceof IronError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const hint = 'nothing was changed; check the address and the network, or try another mirror';
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
    return new IronError('E_SLOW', `${url} stopped sending`, { hint, cause: error });
  }
  const why = isErrno(error)
    ? (fromErrno(error).why ?? error.code)
    : error instanceof Error
      ? error.message
      : String(error);
  return new IronError('E_NETWORK', `${url} could not be fetched`, {
    why,
    hint,
    cause: error,
    context: { url },
  });
}

/** An answer that is neither the file nor the word that there is none. */
export function unexpectedStatus(url: string, status: number, wait?: string): IronError {
  const retryAfter = /^\d{1,4}$/.test(wait ?? '') ? Number(wait) : undefined;
  return new IronError('E_NETWORK', `${url} was answered with status ${status}`, {
    hint: 'nothing was changed; try again or another mirror',
    context: { url, status, ...(retryAfter === undefined ? {} : { retryAfter }) },
  });
}

/**
 * Whether the same request may do better in a moment. What is slow is not asked again here: a
 * slow mirror would keep us three times as long (TUF 1.5.2).
 */
export function isWorthRetrying(error: IronError): boolean {
  if (error.code !== 'E_NETWORK') return false;
  const { status } = error.context;
  if (typeof status !== 'number') return !isHopeless(error.cause);
  // RFC 9110 15.5.9, 15.6; RFC 6585 4.
  return status >= 500 || status === 429 || status === 408;
}

/** A name that does not exist and a certificate that is wrong stay so for the next second. */
function isHopeless(cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return /^(ENOTFOUND|ERR_TLS_|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|UND_ERR_INVALID)/.test(code);
}
