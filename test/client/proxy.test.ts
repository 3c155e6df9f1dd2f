/** The HTTP fetcher behind a proxy that the environment names: the same words of the same server. */

import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';
import t, { type Test } from 'tap';
import { HttpFetcher } from '../../client/fetch/http.ts';
import { concatBytes, utf8 } from '../../shared/bytes.ts';
import { type Served, serve } from '../support/serve.ts';

const BIG = new Uint8Array(300_000).map((_, i) => (i * 31) & 0xff);
const files = new Map([
  ['metadata/timestamp.json', utf8('{"a":1}')],
  ['targets/big.bin', BIG],
]);
const TIMESTAMP = 'metadata/timestamp.json';

/** A proxy that hands on what it is asked for, as it arrives, and counts. */
async function openProxy(t: Test): Promise<{ readonly url: string; requests: number }> {
  const proxy = { url: '', requests: 0 };
  const server = createServer((asked, answer) => {
    proxy.requests++;
    const onward = request(asked.url ?? '', { headers: asked.headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      pipeline(response, answer, () => {});
    });
    onward.on('error', () => answer.destroy());
    answer.on('close', () => onward.destroy());
    onward.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return proxy;
}

async function open(
  t: Test,
  env: Readonly<Record<string, string>>,
): Promise<{ fetcher: HttpFetcher; served: Served }> {
  const served = await serve({ serve: (path) => files.get(path) });
  const fetcher = new HttpFetcher({
    metadata: `${served.url}metadata`,
    targets: `${served.url}targets/`,
    env,
    random: () => 0.5,
    sleep: async () => {},
  });
  t.teardown(async () => {
    await fetcher.close();
    await served.close();
  });
  return { fetcher, served };
}

async function bytesOf(fetcher: HttpFetcher): Promise<Uint8Array> {
  const { pieces } = await fetcher.openFile('targets/big.bin', BIG.length);
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(piece);
  return concatBytes(...parts);
}

t.test('what is asked for comes through the proxy', async (t) => {
  const proxy = await openProxy(t);
  const { fetcher, served } = await open(t, { HTTP_PROXY: proxy.url });
  t.strictSame(await fetcher.fetchFile(TIMESTAMP, 100), files.get(TIMESTAMP));
  t.equal(await fetcher.fetchFile('metadata/2.root.json', 100), undefined);
  t.strictSame(await bytesOf(fetcher), BIG);
  t.equal(served.log.length, 3);
  t.equal(proxy.requests, 3);
});

t.test('a body that breaks off is taken up, and a server that fails is asked again', async (t) => {
  const proxy = await openProxy(t);
  const { fetcher, served } = await open(t, { http_proxy: proxy.url });
  served.misbehave = (_request, response) => {
    served.misbehave = () => false;
    response.writeHead(200, { 'content-length': BIG.length, etag: '"one"' });
    response.write(BIG.subarray(0, 100_000), () => response.destroy());
    return true;
  };
  await t.rejects(bytesOf(fetcher), { code: 'E_NETWORK' }, 'not the same file any more');
  served.misbehave = (_request, response) => {
    served.misbehave = () => false;
    response.writeHead(503).end();
    return true;
  };
  t.strictSame(await fetcher.fetchFile(TIMESTAMP, 100), files.get(TIMESTAMP));
});

t.test('endless data is cut off as it is without a proxy', async (t) => {
  const proxy = await openProxy(t);
  const { fetcher, served } = await open(t, { HTTP_PROXY: proxy.url });
  served.misbehave = (_request, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write(BIG));
    };
    response.on('drain', more);
    more();
    return true;
  };
  await t.rejects(fetcher.fetchFile(TIMESTAMP, 1000), { code: 'E_TOO_LARGE' });
});

t.test('NO_PROXY, and a proxy that is not there', async (t) => {
  const proxy = await openProxy(t);
  const around = await open(t, { HTTP_PROXY: proxy.url, NO_PROXY: '127.0.0.1' });
  t.strictSame(await around.fetcher.fetchFile(TIMESTAMP, 100), files.get(TIMESTAMP));
  t.equal(proxy.requests, 0);
  const lost = await open(t, { HTTP_PROXY: 'http://127.0.0.1:1' });
  await t.rejects(lost.fetcher.fetchFile(TIMESTAMP, 100), { code: 'E_NETWORK' });
  t.equal(lost.served.log.length, 0, 'never past the proxy that is asked for');
});
