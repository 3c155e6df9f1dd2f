/**
 * Figures over a Unix socket, to whoever speaks HTTP: `GET /metrics`. One request a connection, read up to
 * the end of its head and no further; no server of HTTP is needed for that, and no client is
 * brought into the agent by one.
 */

import { chmodSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import type { JsonValue } from '../../shared/json/value.ts';
import { WIRE_LIMITS } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { parseAnswer } from '../wire/answer.ts';
import { exchange } from '../wire/ask.ts';
import { formatRequest } from '../wire/request.ts';
import { removeStale, type Served } from '../wire/serve.ts';
import { FIGURES_TYPE, figuresOf, figuresWithout } from './figures.ts';

export interface FiguresOptions {
  readonly socket: string;
  readonly helper: string;
  readonly signal: AbortSignal;
}

/** Begins to serve figures. */
export async function serveFigures(options: FiguresOptions): Promise<Served> {
  const { socket: path } = options;
  removeStale(path);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    socket.on('error', () => {});
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.setTimeout(1000 * WIRE_LIMITS.seconds, () => socket.destroy());
    let head = '';
    const take = (piece: Buffer): void => {
      head += piece.toString('latin1');
      // RFC 9112 2.1: a head ends with an empty line; there is no body to wait for.
      const isWhole = head.includes('\r\n\r\n');
      if (!isWhole && head.length <= WIRE_LIMITS.httpRequest) return;
      socket.off('data', take);
      if (isWhole) void respond(head, options).then((response) => socket.end(response));
      else socket.destroy();
    };
    socket.on('data', take);
  });
  server.maxConnections = WIRE_LIMITS.connectionsOfUser;
  await onPath(
    path,
    () =>
      new Promise<void>((resolve, reject) => {
        // It stays: a connection that the kernel cannot give ends no server.
        server.on('error', reject);
        server.listen(path, resolve);
      }),
  );
  chmodSync(path, 0o660);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

async function respond(head: string, options: FiguresOptions): Promise<string> {
  const [method, target] = head.split('\r\n', 1)[0]?.split(' ') ?? [];
  if (target !== '/metrics') return response('404 Not Found', 'only /metrics is here\n');
  if (method !== 'GET') return response('405 Method Not Allowed', 'only GET is answered\n');
  return response('200 OK', await figures(options));
}

async function figures({ helper, signal }: FiguresOptions): Promise<string> {
  const own = process.memoryUsage.rss();
  const ask = async (command: string): Promise<JsonValue> => {
    const request = formatRequest({ command, arguments: [], options: {} });
    const { outcome } = parseAnswer(await exchange(helper, request, { signal }));
    if ('data' in outcome) return outcome.data;
    throw outcome.error;
  };
  try {
    const status = await ask('status');
    const quarantine = await ask('quarantine list');
    return figuresOf({ status, quarantine, counts: await ask('counts') }, own);
  } catch {
    // Whoever reads figures learns that there are none; people who ask get the reason.
    return figuresWithout(own);
  }
}

function response(status: string, body: string): string {
  const head = [
    `HTTP/1.1 ${status}`,
    `Content-Type: ${FIGURES_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
