/** A request as its signature sees it, taken from the wire and not from anybody's parsing of it. */

import type { IncomingMessage } from 'node:http';
import type { RequestHead } from '../../shared/api/http-signature.ts';
import { IronError } from '../../shared/errors.ts';

/** Path and query of the request line. */
export function targetOf(request: IncomingMessage): {
  readonly path: string;
  readonly query: string;
} {
  const target = request.url ?? '/';
  const cut = target.indexOf('?');
  return cut < 0
    ? { path: target, query: '' }
    : { path: target.slice(0, cut), query: target.slice(cut) };
}

/**
 * The parts of a request that are signed. `E_UNAUTHENTICATED` when it was sent to a name that is
 * not this service's: what was signed for somebody else must not be good here.
 */
export function headOf(request: IncomingMessage, names: ReadonlySet<string>): RequestHead {
  // RFC 9421 2.2.3: in lower case, without the default port of the scheme.
  const authority = (request.headers.host ?? '').toLowerCase().replace(/:80$/, '');
  if (!names.has(authority)) {
    throw new IronError('E_UNAUTHENTICATED', 'the request was sent to a name that is not ours', {
      why: `it is addressed to ${JSON.stringify(authority.slice(0, 80))}`,
      hint: 'nothing was changed; the operator names the service with --public-name',
    });
  }
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return { method: request.method ?? '', authority, ...targetOf(request), headers };
}
