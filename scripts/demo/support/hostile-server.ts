/**
 * A server that lies: it serves a folder, except where an attack says otherwise. It keeps a list
 * of what was asked for, so that an attack can show how far the victim went.
 */

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** Bytes to serve, null for "no such file", or a function that writes the answer itself. */
export type Lie = Uint8Array | null | ((response: ServerResponse) => void);

export interface HostileServer {
  readonly url: string;
  readonly asked: readonly string[];
  stop(): Promise<void>;
}

/** Serves the published tree at `folder`; `lies` are by tree path (`metadata/timestamp.json`). */
export async function startHostileServer(
  folder: string,
  lies: ReadonlyMap<string, Lie>,
): Promise<HostileServer> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname).slice(1);
    asked.push(path);
    void answer(folder, path, lies.get(path), response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function answer(
  folder: string,
  path: string,
  lie: Lie | undefined,
  response: ServerResponse,
): Promise<void> {
  if (typeof lie === 'function') {
    lie(response);
    return;
  }
  const bytes = lie === undefined ? await readFile(join(folder, path)).catch(() => null) : lie;
  response.writeHead(bytes === null ? 404 : 200, { 'content-type': 'application/octet-stream' });
  response.end(bytes ?? undefined);
}
