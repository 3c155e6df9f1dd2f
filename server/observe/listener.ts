/**
 * The operators' own listener: metrics and the two health questions, on an address apart from the
 * public one. Behind a proxy every caller of the public address comes from loopback, so "only for
 * loopback" would be no protection there; an address that the proxy does not know is one.
 */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HealthReply, ReadyReply } from '../../shared/api/health.ts';
import { asIronError } from '../../shared/errors.ts';
import { api } from '../../shared/layout.ts';
import { TRANSPORT_LIMITS } from '../../shared/limits.ts';
import { fromErrno, isErrno } from '../../shared/node/errno.ts';
import { type Listen, urlOf } from '../config.ts';
import { METRICS_TYPE } from './metrics.ts';

/** An answer as this listener gives it. */
export interface OperationsAnswer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** Every path that is answered. */
export const OPERATIONS_PATHS = [api.metrics, api.ready, api.health] as const;

/** What it answers, by path; undefined until the repository is open. */
export interface Operations {
  metrics(): Promise<string>;
  ready(): Promise<OperationsAnswer>;
  health(): Promise<OperationsAnswer>;
}

export interface OperationsListener {
  readonly url: string;
  /** The repository is open: from now on it is asked. */
  attach(operations: Operations): void;
  close(): Promise<void>;
}

export function jsonAnswer(status: number, document: unknown): OperationsAnswer {
  return { status, type: 'application/json', text: `${JSON.stringify(document)}\n` };
}

/** Neither, in the form of the question that was asked. */
function refusal(url: string, why: string): OperationsAnswer {
  const isHealth = url.split('?', 1)[0] === api.health;
  const health: HealthReply = { ok: false, problem: why, roles: {} };
  const ready: ReadyReply = { ok: false, problems: [why] };
  return jsonAnswer(503, isHealth ? health : ready);
}

/** Listens before the repository is opened, which may take a while after a crash. `E_IO`. */
export async function listenForOperations(listen: Listen): Promise<OperationsListener> {
  let operations: Operations | undefined;
  const server = createServer(
    { requestTimeout: TRANSPORT_LIMITS.idleSeconds * 1000 },
    (request, response) => {
      request.resume();
      answerTo(request.method ?? '', request.url ?? '', operations)
        .catch((error) => {
          return refusal(request.url ?? '', asIronError(error).code);
        })
        .then(({ status, type, text }) => {
          response.writeHead(status, {
            'content-type': type,
            'content-length': Buffer.byteLength(text),
            'cache-control': 'no-store',
          });
          response.end(request.method === 'HEAD' ? undefined : text);
        });
    },
  );
  await bind(server, listen);
  const { port } = server.address() as AddressInfo;
  return {
    url: urlOf({ host: listen.host, port }),
    attach(given) {
      operations = given;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answerTo(
  method: string,
  url: string,
  operations: Operations | undefined,
): Promise<OperationsAnswer> {
  if (method !== 'GET' && method !== 'HEAD') return jsonAnswer(405, { ok: false });
  const path = url.split('?', 1)[0];
  if (path === api.metrics) {
    const text = operations === undefined ? '' : await operations.metrics();
    return { status: operations === undefined ? 503 : 200, type: METRICS_TYPE, text };
  }
  if (path !== api.ready && path !== api.health) return jsonAnswer(404, { ok: false });
  // Not yet: a crash is being recovered from, or the index is made again.
  if (operations === undefined) return refusal(url, 'the service is starting');
  return path === api.ready ? await operations.ready() : await operations.health();
}

async function bind(server: Server, { host, port }: Listen): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(isErrno(error) ? fromErrno(error, `${host}:${port}`) : error),
    );
    server.listen({ host, port }, resolve);
  });
}
