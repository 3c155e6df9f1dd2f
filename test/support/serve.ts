/** A simulator behind HTTP on loopback, as an honest server or as one that misbehaves. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { digest } from './simulator.ts';

/** Whatever has files: a `Simulator` is one. */
export interface Files {
  serve(path: string): Uint8Array | undefined;
}

export interface Served {
  /** `http://127.0.0.1:PORT/` */
  readonly url: string;
  /** `METHOD path range` of every request. */
  readonly log: string[];
  /** Takes over a request; returns false to let it be answered as usual. */
  misbehave: (request: IncomingMessage, response: ServerResponse, path: string) => boolean;
  close(): Promise<void>;
}

export async function serve(files: Files, prefix = ''): Promise<Served> {
  const log: string[] = [];
  const server = createServer((request, response) => {
    const path = decodeTarget((request.url ?? '/').slice(1 + prefix.length));
    log.push(`${path}${request.headers.range === undefined ? '' : ` ${request.headers.range}`}`);
    if (!served.misbehave(request, response, path)) answer(files, request, response, path);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const served: Served = {
    url: `http://127.0.0.1:${port}/${prefix}`,
    log,
    misbehave: () => false,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return served;
}

/** Metadata names stay encoded, as static servers map them; target paths are decoded. */
function decodeTarget(path: string): string {
  return path.startsWith('targets/') ? decodeURIComponent(path) : path;
}

export function answer(
  files: Files,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): void {
  const bytes = files.serve(path);
  if (bytes === undefined) {
    response.writeHead(404).end('no such file');
    return;
  }
  const etag = `"${digest('sha256', bytes)}"`;
  const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
  const from = Number(range?.[1] ?? 0);
  if (range !== null && request.headers['if-range'] === etag && from < bytes.length) {
    response.writeHead(206, {
      etag,
      'content-length': bytes.length - from,
      'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}`,
    });
    response.end(bytes.subarray(from));
    return;
  }
  response.writeHead(200, { etag, 'content-length': bytes.length });
  response.end(bytes);
}
