/** A published tree over HTTP, by itself: no key, no database, nothing that can be handed in. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { asIronError, type IronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import { SERVER_LIMITS, TRANSPORT_LIMITS } from '../../shared/limits.ts';
import { fromErrno, isErrno } from '../../shared/node/errno.ts';
import { type Listen, urlOf } from '../config.ts';
import type { Log } from '../observe/log.ts';
import { watchRequests } from '../observe/requests.ts';
import { TreeReader } from '../static/serve.ts';
import { noSuchFile } from '../static/url-path.ts';
import { endWithError, isOurs } from './errors.ts';
import { targetOf } from './head.ts';
import { linger } from './linger.ts';

/** What a browser is told that asks before it asks (Fetch, CORS preflight). */
export const PREFLIGHT_FIELDS = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, HEAD',
  'access-control-allow-headers': 'range, if-range, if-none-match',
  'access-control-max-age': '86400',
} as const;

export interface StaticServer {
  readonly url: string;
  readonly port: number;
  /** Takes no more, and lets what is being sent end, for so long and no longer. */
  close(seconds?: number): Promise<void>;
}

export interface StaticOptions {
  /** The tree: the folder in which `metadata/` and `targets/` lie. */
  readonly folder: string;
  readonly listen: Listen;
  readonly log?: Log | undefined;
  /** Told of failures that are ours. */
  readonly onFailure: (error: IronError) => void;
}

/** Serves the tree until `close`. `E_IO` when the address is taken. */
export async function serveTree(options: StaticOptions): Promise<StaticServer> {
  const { folder, listen, log, onFailure } = options;
  const reader = new TreeReader(folder);
  const server = createServer(
    { connectionsCheckingInterval: 5000, requestTimeout: TRANSPORT_LIMITS.idleSeconds * 1000 },
    (request, response) => {
      linger(request, response);
      if (server.listening && reader.answerNow(targetOf(request).path, request, response)) return;
      // Nothing is taken: whoever sends a body is not read.
      request.resume();
      answer(reader, request, response).catch((error) => {
        if (isOurs(error)) onFailure(asIronError(error));
        endWithError(response, error);
      });
    },
  );
  // Of sockets on which nothing moves.
  server.setTimeout(TRANSPORT_LIMITS.idleSeconds * 1000);
  if (log !== undefined)
    watchRequests(
      server,
      ({ seconds, ...seen }) =>
        log.say('info', 'request', { ...seen, ms: Math.round(seconds * 1e6) / 1e3 }),
      true,
    );
  await bind(server, listen);
  const { port } = server.address() as AddressInfo;
  return {
    url: urlOf({ host: listen.host, port }),
    port,
    close: (seconds = SERVER_LIMITS.stopSeconds) => stop(server, seconds),
  };
}

async function answer(
  reader: TreeReader,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { path } = targetOf(request);
  const isTree = [tree.metadataFolder, tree.targetsFolder].some((one) =>
    path.startsWith(`/${one}/`),
  );
  if (!isTree) throw noSuchFile();
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      return await reader.answer(path, request, response);
    case 'OPTIONS':
      response.writeHead(204, PREFLIGHT_FIELDS).end();
      return;
    default:
      throw noSuchFile();
  }
}

async function bind(server: Server, { host, port }: Listen): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(isErrno(error) ? fromErrno(error, `${host}:${port}`) : error),
    );
    server.listen({ host, port }, resolve);
  });
}

async function stop(server: Server, seconds: number): Promise<void> {
  const timer = setTimeout(() => server.closeAllConnections(), seconds * 1000);
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
  clearTimeout(timer);
}
