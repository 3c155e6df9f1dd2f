/** The HTTP face of the service: the tree, a status page, and the upload API. */

import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import fastify, { type FastifyInstance } from 'fastify';
import { BATCH_TYPE } from '../../shared/api/blob-batch.ts';
import { UPLOAD_TYPE } from '../../shared/api/upload.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { asIronError, type Code, type IronError } from '../../shared/errors.ts';
import { api, tree } from '../../shared/layout.ts';
import { TRANSPORT_LIMITS } from '../../shared/limits.ts';
import type { Clock } from '../../shared/time.ts';
import type { Lives } from '../db/lives.ts';
import type { Intake } from '../intake/intake.ts';
import type { PendingChanges } from '../intake/pending/pending.ts';
import type { ReviewDesk } from '../intake/review/desk.ts';
import type { Worker } from '../jobs/worker.ts';
import type { Readiness } from '../observe/ready.ts';
import { TreeReader } from '../static/serve.ts';
import type { CurrentTree } from '../storage/published.ts';
import { addBlobRoutes } from './blob-routes.ts';
import { addDescriptionRoutes } from './description-routes.ts';
import { endWithError, errorDocument, isOurs, publicError } from './errors.ts';
import { targetOf } from './head.ts';
import { health } from './health.ts';
import { linger } from './linger.ts';
import { addPendingRoutes } from './pending-routes.ts';
import { addRetentionRoutes } from './retention-routes.ts';
import { addReviewRoutes } from './review-routes.ts';
import { PREFLIGHT_FIELDS } from './static-server.ts';
import { PAGE_POLICY, statusPage } from './status-page.ts';
import { addSubmissionRoutes } from './submission-routes.ts';

export interface AppParts {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly current: CurrentTree;
  readonly intake: Intake;
  readonly pending: PendingChanges;
  readonly desk: ReviewDesk;
  readonly worker: Worker;
  /** Names under which the service is reached, as `host:port`; known once it listens. */
  readonly names: () => ReadonlySet<string>;
  /** Read from the private folder by commands of the machine's owner. */
  readonly ownerToken: string;
  readonly lives: Lives;
  readonly ready: () => Promise<Readiness>;
  /** Told of failures that are ours. */
  readonly onFailure: (error: IronError, request?: IncomingMessage) => void;
  /** Told of each request that is answered with an error. */
  readonly onError?: (code: Code, request: IncomingMessage) => void;
  /** Told of each route that is added: what is described is compared with what there is. */
  readonly onRoute?: (method: string, url: string) => void;
}

export function createApp(parts: AppParts): FastifyInstance {
  const reader = new TreeReader(parts.current.folder);
  const app = fastify({
    logger: false,
    serverFactory: (routed, options) =>
      serverOf(reader, routed as RequestListener, Number(options.keepAliveTimeout)),
    // Idle ones end at once, requests under way have time to end (service.ts).
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
  });
  // Bodies are read by the handlers, after the signature of the request was verified.
  app.removeAllContentTypeParsers();
  for (const type of ['application/json', UPLOAD_TYPE, BATCH_TYPE]) {
    app.addContentTypeParser(type, (_request, payload, done) => done(null, payload));
  }
  app.setErrorHandler((error, request, reply) => {
    if (isOurs(error)) parts.onFailure(asIronError(error), request.raw);
    const answer = publicError(error);
    parts.onError?.(answer.code, request.raw);
    // RFC 6585 4: also where there is no body to say it.
    const { retry_after: seconds } = answer.context;
    if (typeof seconds === 'number') reply.header('retry-after', seconds);
    return reply.code(answer.http).header('cache-control', 'no-store').send(errorDocument(answer));
  });
  app.setNotFoundHandler((request, reply) => {
    parts.onError?.('E_NOT_FOUND', request.raw);
    endWithError(reply.hijack().raw, Object.assign(new Error('nothing here'), { statusCode: 404 }));
  });
  if (parts.onRoute !== undefined) tellRoutes(app, parts.onRoute);
  addTree(app, reader, parts);
  addPages(app, parts);
  addBlobRoutes(app, parts);
  addSubmissionRoutes(app, parts);
  addPendingRoutes(app, parts);
  addReviewRoutes(app, parts);
  addDescriptionRoutes(app);
  addRetentionRoutes(app, parts);
  return app;
}

function tellRoutes(app: FastifyInstance, onRoute: NonNullable<AppParts['onRoute']>): void {
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) onRoute(one, url);
  });
}

/**
 * The server under the routes. What is read most is answered ahead of them, when it is in memory:
 * finding the route and what comes with it costs more than the whole of such an answer. Whoever
 * watches the server (observe/requests.ts) sees these requests as all others.
 */
function serverOf(reader: TreeReader, routed: RequestListener, keepAliveTimeout: number): Server {
  const server = createServer((request, response) => {
    linger(request, response);
    // One that is stopping answers by its routes, which end the connection.
    if (server.listening && reader.answerNow(targetOf(request).path, request, response)) return;
    routed(request, response);
  });
  server.keepAliveTimeout = keepAliveTimeout;
  // Bodies have a pace of their own (pace.ts), and no time by which they must be there.
  server.requestTimeout = 0;
  // Of sockets on which nothing moves.
  server.setTimeout(TRANSPORT_LIMITS.idleSeconds * 1000);
  return server;
}

function addTree(app: FastifyInstance, reader: TreeReader, { onFailure, onError }: AppParts): void {
  for (const folder of [tree.metadataFolder, tree.targetsFolder]) {
    const url = `/${folder}/*`;
    app.route({
      method: ['GET', 'HEAD'],
      url,
      handler: async (request, reply) => {
        // From here on the response is the reader's, down to the bytes.
        const response = reply.hijack().raw;
        try {
          const { path } = targetOf(request.raw);
          await reader.answer(path, request.raw, response);
        } catch (error) {
          if (isOurs(error)) onFailure(asIronError(error), request.raw);
          onError?.(publicError(error).code, request.raw);
          endWithError(response, error);
        }
      },
    });
    app.options(url, async (_request, reply) => reply.code(204).headers(PREFLIGHT_FIELDS).send());
  }
}

function addPages(app: FastifyInstance, { current, clock, lives, ready }: AppParts): void {
  app.get(api.health, async (_request, reply) => {
    const { status, document } = await health(current, clock());
    return reply.code(status).header('cache-control', 'no-store').send(document);
  });
  app.get(api.ready, async (_request, reply) => {
    const document = await ready();
    return reply
      .code(document.ok ? 200 : 503)
      .header('cache-control', 'no-store')
      .send(document);
  });
  app.get('/', async (request, reply) => {
    const { query } = targetOf(request.raw);
    const html = await statusPage(current, clock(), new URLSearchParams(query), lives.all());
    return reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', PAGE_POLICY)
      .header('x-content-type-options', 'nosniff')
      .header('referrer-policy', 'no-referrer')
      .header('cache-control', 'no-cache')
      .send(html);
  });
}
