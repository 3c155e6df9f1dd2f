/** A service that lies, stalls and never ends: the vendor's tool gives up, and says why. */

import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { Api } from '../../publisher/upload/api.ts';
import { uploadBlob } from '../../publisher/upload/blob.ts';
import { RepositoryFetcher } from '../../publisher/upload/fetcher.ts';
import { Repository } from '../../publisher/upload/http.ts';
import { submit, waitFor } from '../../publisher/upload/submission.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { sha256, testVendor } from '../support/repository.ts';

async function hostile(
  t: Test,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
) {
  const log: string[] = [];
  const server = createServer((request, response) => {
    log.push(`${request.method} ${request.url}`);
    request.resume();
    if (request.method === 'HEAD' || request.method === 'GET') answer(request, response);
    else request.on('end', () => answer(request, response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const repository = new Repository(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  t.teardown(async () => {
    await repository.close();
    server.closeAllConnections();
    server.close();
  });
  const api = new Api({
    repository,
    signer: testVendor('acme').api,
    crypto: platformCrypto,
    clock: systemClock,
    random: (length) => new Uint8Array(randomBytes(length)),
  });
  return { api, repository, log };
}

const bytes = new Uint8Array(100_000);
const blob = { source: { bytes }, length: bytes.length, sha256: sha256(bytes) };

// Each of these went on for ever; now it is five attempts, which take some seconds.
t.test('offsets that lead nowhere', { jobs: 3, buffered: true }, async (t) => {
  await Promise.all([
    t.test('one byte of all that was sent', async (t) => {
      const { api, log } = await hostile(t, ({ method }, response) => {
        if (method === 'HEAD')
          response.writeHead(200, { 'upload-offset': '0', 'upload-length': '100000' }).end();
        else response.writeHead(204, { 'upload-offset': '1' }).end();
      });
      await t.rejects(uploadBlob(api, blob), { code: 'E_NETWORK' });
      t.equal(log.length, 10);
    }),
    t.test('one byte more at each look', async (t) => {
      let offset = 0;
      const { api } = await hostile(t, ({ method }, response) => {
        offset += 1;
        if (method === 'HEAD')
          response
            .writeHead(200, { 'upload-offset': String(offset), 'upload-length': '100000' })
            .end();
        else response.writeHead(500).end();
      });
      const counts: number[] = [];
      await t.rejects(
        uploadBlob(api, blob, (count) => counts.push(count)),
        { code: 'E_NETWORK' },
      );
      t.ok(counts.every((count) => count > 0));
    }),
    t.test('past the end', async (t) => {
      const { api } = await hostile(t, (_request, response) => {
        response.writeHead(200, { 'upload-offset': '100001', 'upload-length': '100000' }).end();
      });
      await t.rejects(uploadBlob(api, blob), { code: 'E_CONFLICT' });
    }),
  ]);
});

t.test('an error page that never ends', async (t) => {
  const { repository } = await hostile(t, (_request, response) => {
    response.writeHead(404);
    const timer = setInterval(() => response.write('x'), 100);
    response.on('close', () => clearInterval(timer));
  });
  const began = performance.now();
  const fetcher = new RepositoryFetcher(repository);
  t.equal(await fetcher.fetchFile('metadata/2.root.json', 100), undefined);
  t.ok(performance.now() - began < 10_000);
});

t.test('a redirect is an answer, and no way to somebody else', async (t) => {
  const { repository, log } = await hostile(t, (_request, response) => {
    response.writeHead(302, { location: '/metadata/1.root.json' }).end();
  });
  const fetcher = new RepositoryFetcher(repository);
  await t.rejects(fetcher.fetchFile('metadata/timestamp.json', 100), { code: 'E_NETWORK' });
  t.equal(log.length, 1);
});

t.test('answers that are none', async (t) => {
  for (const body of ['', '{}', '[[[[[[[[[[]]]]]]]]]]', '{"id":1}', 'x'.repeat(100)]) {
    const { api } = await hostile(t, (_request, response) => response.writeHead(202).end(body));
    await t.rejects(
      submit(api, 'acme', { metadata: new Uint8Array(10) }),
      { code: /^E_(JSON|SCHEMA)$/ },
      body,
    );
  }
  const { api } = await hostile(t, (_request, response) => {
    response.writeHead(202);
    const more = (): void => {
      while (response.write(new Uint8Array(1_000_000)));
    };
    response.on('drain', more);
    more();
  });
  await t.rejects(submit(api, 'acme', { metadata: new Uint8Array(10) }), { code: 'E_TOO_LARGE' });
});

t.test('an id that is a path stays inside its place', async (t) => {
  const { api, log } = await hostile(t, (_request, response) => response.writeHead(500).end());
  const reply = { id: '../../operator/files#', state: 'queued' as const, role: 'acme', version: 1 };
  await t.rejects(waitFor(api, { ...reply, verdicts: [] }), { code: 'E_NETWORK' });
  t.ok(
    log.every((line) => line === 'GET /api/v1/submissions/..%2F..%2Foperator%2Ffiles%23?wait=60'),
  );
});
