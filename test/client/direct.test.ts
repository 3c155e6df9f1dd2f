/** Requests by Node's own client, against servers that speak HTTP as nobody should. */

import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import t, { type Test } from 'tap';
import { DirectConnections } from '../../client/fetch/direct.ts';
import { type Answer, get } from '../../client/fetch/exchange.ts';
import { concatBytes, fromUtf8 } from '../../shared/bytes.ts';
import { TRANSPORT_LIMITS } from '../../shared/limits.ts';

const PATIENCE = { connect: 2000, idle: 200 };

type Serve = (socket: Socket, request: number) => void;

/** A server that is told of each request's head, and where it is. */
async function serve(t: Test, answer: Serve, host = '127.0.0.1'): Promise<{ origin: string }> {
  let requests = 0;
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    let head = '';
    socket.on('error', () => {});
    socket.setEncoding('latin1').on('data', (text) => {
      head += text;
      if (!head.includes('\r\n\r\n')) return;
      head = '';
      answer(socket, ++requests);
    });
  });
  server.listen(0, host);
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { origin: `http://${host.includes(':') ? `[${host}]` : host}:${port}` };
}

function open(t: Test, patience = PATIENCE): DirectConnections {
  const connections = new DirectConnections(patience);
  t.teardown(() => connections.close());
  return connections;
}

async function bodyOf({ body }: Answer): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return fromUtf8(concatBytes(...pieces));
}

const whole = (text: string): string =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`;

t.test('one connection serves many requests, and none keeps the process alive', async (t) => {
  const seen = new Set<Socket>();
  const { origin } = await serve(t, (socket, request) => {
    seen.add(socket);
    socket.write(whole(`answer ${request}`));
  });
  const connections = open(t);
  for (const expected of ['answer 1', 'answer 2', 'answer 3']) {
    t.equal(await bodyOf(await get(connections, { origin, path: '/x' })), expected);
  }
  t.equal(seen.size, 1);
});

t.test('an idle connection that was closed meanwhile costs nothing', async (t) => {
  const { origin } = await serve(t, (socket, request) => {
    if (request === 2) socket.resetAndDestroy();
    else socket.write(whole(`answer ${request}`));
  });
  const connections = open(t);
  t.equal(await bodyOf(await get(connections, { origin, path: '/x' })), 'answer 1');
  // The second request meets a connection that is reset before any answer, and is sent once more.
  t.equal(await bodyOf(await get(connections, { origin, path: '/x' })), 'answer 3');
});

t.test('a server that resets each connection is not asked for ever', async (t) => {
  let asked = 0;
  const { origin } = await serve(t, (socket) => {
    asked++;
    socket.resetAndDestroy();
  });
  await t.rejects(get(open(t), { origin, path: '/x' }), { code: 'ECONNRESET' });
  t.equal(asked, 1);
});

t.test('a head that never ends, in time or in length', async (t) => {
  const silent = await serve(t, (socket) => socket.write('HTTP/1.1 200 OK\r\nX: '));
  await t.rejects(get(open(t), { ...silent, path: '/' }), { code: 'UND_ERR_HEADERS_TIMEOUT' });
  const dripping = await serve(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n');
    const timer = setInterval(() => socket.write('x'), 20);
    socket.on('close', () => clearInterval(timer));
  });
  await t.rejects(get(open(t), { ...dripping, path: '/' }), { code: 'UND_ERR_HEADERS_TIMEOUT' });
  const long = await serve(t, (socket) =>
    socket.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}\r\nContent-Length: 0\r\n\r\n`),
  );
  await t.rejects(get(open(t), { ...long, path: '/' }), { code: 'HPE_HEADER_OVERFLOW' });
});

t.test('interim answers precede the answer, and a switch of protocols is none', async (t) => {
  const interim = await serve(t, (socket) =>
    socket.write(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${whole('after')}`),
  );
  t.equal(await bodyOf(await get(open(t), { ...interim, path: '/' })), 'after');
  const switched = await serve(t, (socket) =>
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
  );
  await t.rejects(get(open(t), { ...switched, path: '/' }), { code: 'UND_ERR_SOCKET' });
  const later = await serve(t, (socket, request) =>
    socket.write(
      request === 1
        ? whole('first')
        : 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    ),
  );
  const connections = open(t);
  t.equal(await bodyOf(await get(connections, { ...later, path: '/' })), 'first');
  await t.rejects(
    get(connections, { ...later, path: '/' }),
    { code: 'UND_ERR_SOCKET' },
    'nor on a connection that is used again',
  );
});

t.test('bodies that are cut, fall silent, or contradict themselves', async (t) => {
  const head = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n';
  const cut = await serve(t, (socket) => socket.end(`${head}half`));
  await t.rejects(bodyOf(await get(open(t), { ...cut, path: '/' })), {
    code: /ECONN|UND_ERR_SOCKET/,
  });
  const silent = await serve(t, (socket) => socket.write(`${head}half`));
  await t.rejects(bodyOf(await get(open(t), { ...silent, path: '/' })), {
    code: 'UND_ERR_BODY_TIMEOUT',
  });
  const twice = await serve(t, (socket) =>
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'),
  );
  await t.rejects(get(open(t), { ...twice, path: '/' }), { code: /^HPE_/ });
  const both = await serve(t, (socket) =>
    socket.write(
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
    ),
  );
  await t.rejects(get(open(t), { ...both, path: '/' }), { code: /^HPE_/ });
  const junk = await serve(t, (socket) => socket.write('SSH-2.0-OpenSSH\r\n\r\n'));
  await t.rejects(get(open(t), { ...junk, path: '/' }), { code: /^HPE_/ });
});

t.test('a reader that takes its time is not taken for a slow server', async (t) => {
  const text = 'x'.repeat(3_000_000);
  const { origin } = await serve(t, (socket) => socket.write(whole(text)));
  const answer = await get(open(t), { origin, path: '/' });
  await new Promise((resolve) => setTimeout(resolve, 3 * PATIENCE.idle));
  t.equal((await bodyOf(answer)).length, text.length);
});

t.test('a server has its time anew when it was held back', async (t) => {
  const piece = 'x'.repeat(TRANSPORT_LIMITS.buffer);
  const { origin } = await serve(t, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${2 * piece.length}\r\n\r\n${piece}`);
    setTimeout(() => socket.write(piece), 900);
  });
  const answer = await get(open(t, { connect: 2000, idle: 600 }), { origin, path: '/' });
  // Held back for most of its time, and silent from then until beyond the end of it.
  await new Promise((resolve) => setTimeout(resolve, 500));
  t.equal((await bodyOf(answer)).length, 2 * piece.length);
});

t.test('stopping ends the connection', async (t) => {
  const closed: Promise<unknown>[] = [];
  const { origin } = await serve(t, (socket) => {
    closed.push(once(socket, 'close'));
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
  });
  const stop = new AbortController();
  const answer = await get(open(t), { origin, path: '/' }, { signal: stop.signal });
  const reading = bodyOf(answer);
  stop.abort(new Error('enough'));
  await t.rejects(reading, { message: 'enough' });
  t.equal((await Promise.all(closed)).length, 1);
});

t.test('a connection that does not come to stand', async (t) => {
  const { origin } = await serve(t, () => {});
  const path = { origin: origin.replace('http:', 'https:'), path: '/' };
  const hasty = open(t, { connect: 100, idle: 2000 });
  await t.rejects(get(hasty, path), { code: 'UND_ERR_CONNECT_TIMEOUT' });
});

const hasSix = Object.values(networkInterfaces())
  .flat()
  .some((it) => it?.address === '::1');
t.test('an address in brackets', { skip: !hasSix }, async (t) => {
  const { origin } = await serve(t, (socket) => socket.write(whole('six')), '::1');
  t.equal(await bodyOf(await get(open(t), { origin, path: '/' })), 'six');
});
