/** Whoever sends a body that nobody wants reads the answer, also when he sends all of it first. */

import { connect } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { serveTree } from '../../server/http/static-server.ts';
import { UPLOAD_TYPE } from '../../shared/api/upload.ts';
import { api, data } from '../../shared/layout.ts';
import { running } from './support.ts';

t.setTimeout(280_000);

/** More than the system takes off our hands on its own. */
const BODY = 32 * 1024 * 1024;
const PIECE = Buffer.alloc(65_536);

interface Sent {
  readonly status: number | undefined;
  /** Code of the socket's error, when there was one. */
  readonly failed: string | undefined;
  /** Whether the other side ended the connection. */
  readonly ended: boolean;
}

/** Sends head and body, and reads only then. Waits for the answer, or for the end where one must come. */
function send(
  url: string,
  head: readonly string[],
  { bytes = BODY, untilEnd = false } = {},
): Promise<Sent> {
  const { port, host } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true });
    let [got, failed, ended] = ['', undefined as string | undefined, false];
    let dribbling: NodeJS.Timeout | undefined;
    const done = (): void => {
      clearInterval(dribbling);
      const status = /^HTTP\/1\.1 (\d+)/.exec(got)?.[1];
      resolve({ status: status === undefined ? undefined : Number(status), failed, ended });
      socket.destroy();
    };
    socket.pause();
    socket.on('error', (error: NodeJS.ErrnoException) => {
      failed = error.code;
    });
    socket.on('data', (data) => {
      got += data.toString('latin1');
      if (!untilEnd && got.includes('\r\n\r\n')) done();
    });
    socket.on('end', () => {
      ended = true;
      done();
    });
    socket.on('close', done);
    const lines = [...head, `Host: ${host}`, `Content-Length: ${BODY}`];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    let left = bytes;
    const more = (): void => {
      while (left > 0) {
        left -= PIECE.length;
        if (socket.write(PIECE)) continue;
        socket.once('drain', more);
        return;
      }
      socket.resume();
      // Neither is it silent, for which alone a connection would be ended.
      if (bytes < BODY) dribbling = setInterval(() => socket.write('x'), 1000);
    };
    more();
  });
}

const blob = api.blob('0'.repeat(64));
const CLOSE = 'Connection: close';
const old = ['Tus-Resumable: 0.2.2', `Content-Type: ${UPLOAD_TYPE}`];
const REQUESTS: readonly (readonly [status: number, head: readonly string[]])[] = [
  [412, [`PATCH ${blob} HTTP/1.1`, ...old]],
  [412, [`POST ${api.blobs} HTTP/1.1`, ...old]],
  [412, [`DELETE ${blob} HTTP/1.1`, ...old]],
  [401, [`PATCH ${blob} HTTP/1.1`, 'Tus-Resumable: 1.0.0', `Content-Type: ${UPLOAD_TYPE}`]],
  [404, ['POST /nothing HTTP/1.1']],
  // The first time from the disk, then from memory (static/hot.ts).
  [200, ['GET /metadata/timestamp.json HTTP/1.1']],
  [200, ['GET /metadata/timestamp.json HTTP/1.1']],
];

t.test('the answer comes before the close', async (t) => {
  const { service } = await running(t);
  for (const [status, head] of REQUESTS) {
    const about = head[0] as string;
    const kept = await send(service.url, head);
    t.match(kept, { status, failed: undefined }, about);
    const closed = await send(service.url, [...head, CLOSE], { untilEnd: true });
    t.match(closed, { status, failed: undefined, ended: true }, `${about}, ${CLOSE}`);
  }
});

t.test('a body that does not end is not waited for', async (t) => {
  const { service } = await running(t);
  const bytes = PIECE.length;
  const endless = REQUESTS.flatMap(([status, head]) => [
    { status, head },
    { status, head: [...head, CLOSE] },
  ]);
  const all = await Promise.all(
    endless.map(({ head }) => send(service.url, head, { bytes, untilEnd: true })),
  );
  for (const [at, { status, head }] of endless.entries())
    t.match(all[at], { status }, head.join(', '));
});

t.test('the server of a tree alone', async (t) => {
  const { home } = await running(t);
  const listen = { host: '127.0.0.1', port: 0 };
  const served = await serveTree({ folder: join(home, data.tree), listen, onFailure: () => {} });
  t.teardown(() => served.close(0));
  for (const [status, head] of REQUESTS.slice(-3)) {
    const sent = await send(served.url, [...head, CLOSE], { untilEnd: true });
    t.match(sent, { status, failed: undefined, ended: true }, `${head[0]}`);
  }
});
