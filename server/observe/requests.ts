/**
 * Looks at every request from beside the handlers: what it was, how it ended, how long it took and
 * how much went over the wire. It listens to the server itself, so nothing is missed, however a
 * request is answered.
 */

import { randomBytes } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { api, tree } from '../../shared/layout.ts';

/** The request as far as it is counted and written down. */
export interface SeenRequest {
  readonly id: string;
  readonly method: string;
  readonly route: string;
  /** Without its query; the id of a submission, which lets one ask for it, is left out. */
  readonly path: string;
  /** 0 when the connection ended before there was an answer. */
  readonly status: number;
  /** Whether all of the answer was sent. */
  readonly complete: boolean;
  readonly seconds: number;
  readonly received: number;
  readonly sent: number;
  readonly peer: string;
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PATCH', 'DELETE', 'OPTIONS']);

/** By the beginning of a path; the first that fits. A closed set, whatever is asked for. */
const ROUTES: readonly (readonly [begins: string, route: string])[] = [
  [`/${tree.timestamp}`, 'timestamp'],
  [`/${tree.metadataFolder}/`, 'metadata'],
  [`/${tree.targetsFolder}/`, 'targets'],
  [api.blobs, 'blobs'],
  [api.submissions, 'submissions'],
  [api.operatorFiles, 'operator-files'],
  [api.operatorDrafts, 'operator-pending'],
  [api.drafts, 'pending'],
  [api.reviews, 'reviews'],
  [api.retention, 'retention'],
  [api.description, 'description'],
  [api.descriptionPage, 'description'],
  [api.health, 'health'],
  [api.ready, 'ready'],
];

export function routeOf(path: string): string {
  if (path === '/') return 'status-page';
  return ROUTES.find(([begins]) => path.startsWith(begins))?.[1] ?? 'other';
}

export interface RequestWatch {
  /** The id of a request that is being answered, for whoever has to say something about it. */
  idOf(request: IncomingMessage): string | undefined;
  /** Requests that are being answered now. */
  active(): number;
}

/**
 * Watches `server`. With `tellIds`, each answer carries its request's id (`x-request-id`).
 * @param onEnd told of each request once, when its connection is done with it
 */
export function watchRequests(
  server: Server,
  onEnd: (seen: SeenRequest) => void,
  tellIds: boolean,
): RequestWatch {
  const ids = new WeakMap<IncomingMessage, string>();
  /** What had gone over each socket when the request before was done with it. */
  const before = new WeakMap<Socket, { readonly sent: number; readonly received: number }>();
  const run = randomBytes(4).toString('hex');
  let count = 0;
  let active = 0;
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    count += 1;
    active += 1;
    const id = `${run}-${count}`;
    ids.set(request, id);
    if (tellIds) response.setHeader('x-request-id', id);
    const began = performance.now();
    const { socket } = request;
    response.once('close', () => {
      active -= 1;
      const { sent, received } = before.get(socket) ?? { sent: 0, received: 0 };
      before.set(socket, { sent: socket.bytesWritten, received: socket.bytesRead });
      const path = (request.url ?? '').split('?', 1)[0] as string;
      const method = request.method ?? '';
      onEnd({
        id,
        method: METHODS.has(method) ? method : 'other',
        route: routeOf(path),
        path: path.startsWith(`${api.submissions}/`) ? `${api.submissions}/…` : path,
        status: response.headersSent ? response.statusCode : 0,
        complete: response.writableFinished,
        seconds: (performance.now() - began) / 1000,
        received: socket.bytesRead - received,
        sent: socket.bytesWritten - sent,
        peer: socket.remoteAddress ?? '',
      });
    });
  });
  return { idOf: (request) => ids.get(request), active: () => active };
}
