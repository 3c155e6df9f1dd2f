/** The read path: exactly the tree, however one asks. */

import { mkdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { parseRange } from '../../server/static/range.ts';
import { TreeReader } from '../../server/static/serve.ts';
import { decodeUrlPath } from '../../server/static/url-path.ts';
import { isIronError } from '../../shared/errors.ts';
import { call, running } from './support.ts';

const { home, service } = await running(t);
const get = (path: string, headers = {}) => call(service.url, 'GET', path, headers);

t.test('a file that never changes', async (t) => {
  const answer = await get('/metadata/1.root.json');
  t.equal(answer.status, 200);
  t.equal(answer.headers['content-type'], 'application/json');
  t.match(answer.headers['cache-control'], /immutable/);
  t.equal(answer.headers['access-control-allow-origin'], '*');
  t.equal(answer.headers['content-length'], String(answer.body.length));
  t.equal(answer.headers.etag, '"1.root.json"');
  const same = await get('/metadata/1.root.json', { 'if-none-match': '"x", W/"1.root.json"' });
  t.equal(same.status, 304);
  t.equal(same.body.length, 0);
  const head = await call(service.url, 'HEAD', '/metadata/1.root.json');
  t.equal(head.status, 200);
  t.equal(head.headers['content-length'], String(answer.body.length));
  t.equal(head.body.length, 0);
  t.equal((await get('/metadata/1.root.json?x=1')).status, 200);
  t.equal((await get('/metadata/%31.root.json')).status, 200, 'decoded, once');
  const options = await call(service.url, 'OPTIONS', '/metadata/1.root.json');
  t.equal(options.headers['access-control-allow-origin'], '*');
});

t.test('the one file that moves', async (t) => {
  const answer = await get('/metadata/timestamp.json');
  t.equal(answer.headers['cache-control'], 'no-cache');
  const { etag } = answer.headers;
  t.match(etag, /^"[0-9a-f]{64}"$/);
  t.equal((await get('/metadata/timestamp.json', { 'if-none-match': etag })).status, 304);
});

t.test('ranges', async (t) => {
  const whole = (await get('/metadata/1.targets.json')).body;
  const size = whole.length;
  const range = (text: string, more = {}) =>
    get('/metadata/1.targets.json', { range: text, ...more });
  const part = await range('bytes=10-19');
  t.equal(part.status, 206);
  t.equal(part.headers['content-range'], `bytes 10-19/${size}`);
  t.same(part.body, whole.subarray(10, 20));
  t.same((await range('bytes=100-')).body, whole.subarray(100));
  t.same((await range('bytes=-7')).body, whole.subarray(size - 7));
  t.same((await range(`bytes=5-${size + 5}`)).body, whole.subarray(5));
  const past = await range(`bytes=${size}-`);
  t.equal(past.status, 416);
  t.equal(past.headers['content-range'], `bytes */${size}`);
  for (const ignored of ['bytes=0-1,3-4', 'bytes=-', 'bytes=9-3', 'lines=1-2', 'bytes=a-b'])
    t.equal((await range(ignored)).status, 200, ignored);
  t.equal((await range('bytes=1-2', { 'if-range': '"1.targets.json"' })).status, 206);
  t.equal((await range('bytes=1-2', { 'if-range': '"other"' })).status, 200);
});

t.test('any range is inside the file', async (t) => {
  const bound = fc.option(fc.nat(2000), { nil: undefined });
  fc.assert(
    fc.property(bound, bound, fc.nat(1000), (first, last, size) => {
      const found = parseRange(`bytes=${first ?? ''}-${last ?? ''}`, size);
      if (found === undefined || found === 'unsatisfiable') return;
      t.ok((0 <= found.start && found.start <= found.end && found.end < size) || false);
    }),
  );
  t.pass('500 ranges');
});

t.test('nothing but the tree', async (t) => {
  writeFileSync(join(home, 'tree/metadata/.hidden'), 'x');
  writeFileSync(join(home, 'tree/outside.json'), 'x');
  symlinkSync(join(home, 'private/state.sqlite'), join(home, 'tree/metadata/link.json'));
  symlinkSync(join(home, 'private'), join(home, 'tree/metadata/folder'));
  symlinkSync('1.root.json', join(home, 'tree/metadata/inner.json'));
  mkdirSync(join(home, 'tree/targets/empty'), { recursive: true });
  const hostile = [
    '/metadata/../../private/state.sqlite',
    '/metadata/..%2f..%2fprivate%2fstate.sqlite',
    '/metadata/%2e%2e/%2e%2e/private/state.sqlite',
    '/metadata/..%5c..%5cprivate',
    '/metadata/%252e%252e/x',
    '/metadata//etc/passwd',
    '/metadata/%2fetc%2fpasswd',
    '/metadata/1.root.json%00',
    '/metadata/1.root.json/',
    '/metadata/1.root.json/x',
    '/metadata/%ff',
    '/metadata/%',
    '/metadata/.hidden',
    '/metadata/%2ehidden',
    '/metadata/link.json',
    '/metadata/inner.json',
    '/metadata/folder/state.sqlite',
    '/metadata/',
    '/metadata',
    '/targets/empty',
    '/targets/.',
    '/outside.json',
    '/private/state.sqlite',
    '/tree/metadata/1.root.json',
    `/targets/${'a/'.repeat(2000)}x`,
    `/targets/${'a'.repeat(5000)}`,
  ];
  for (const path of hostile) {
    const { status, body } = await get(path);
    t.ok(status === 404 || status === 400, `${path.slice(0, 60)}: ${status}`);
    t.notMatch(body.toString('utf8'), /SQLite|root:/);
    t.notMatch(body.toString('utf8'), home, 'no path of this machine is told');
  }
  t.equal((await call(service.url, 'PUT', '/metadata/1.root.json')).status, 404);
  t.equal((await call(service.url, 'DELETE', '/metadata/1.root.json')).status, 404);
});

t.test('whatever is asked for decodes to plain segments or to nothing', async (t) => {
  const piece = fc.constantFrom(
    '..',
    '.',
    '%2e',
    '%2f',
    '%5c',
    '%00',
    '/',
    'a',
    '%25',
    '\\',
    '%c3%a9',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      try {
        const path = decodeUrlPath(pieces.join(''));
        for (const segment of path.split('/')) {
          if (segment === '' || segment.startsWith('.') || /[\\\0]/.test(segment))
            throw new Error(`it let through ${path}`);
        }
      } catch (error) {
        if (!isIronError(error, 'E_NOT_FOUND')) throw error;
      }
    }),
    { numRuns: 2000 },
  );
  t.pass('2000 paths');
});

t.test('requests that are not HTTP, or go on for ever, hold nothing up', async (t) => {
  const { port } = new URL(service.url);
  const ask = (text: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect(Number(port), '127.0.0.1', () => socket.write(text));
      let answer = '';
      socket.on('data', (data) => {
        answer += data;
      });
      socket.on('close', () => resolve(answer));
      socket.on('error', () => resolve(answer));
    });
  t.match(await ask('GET / HTTP/9.9\r\n\r\n'), /^HTTP\/1\.1 400/);
  t.match(await ask(`GET / HTTP/1.1\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`), /^HTTP\/1\.1 431/);
  t.equal((await get('/healthz')).status, 200);
});

t.test('the status page', async (t) => {
  const page = await get('/');
  const text = page.body.toString('utf8');
  t.equal(page.status, 200);
  t.match(page.headers['content-security-policy'], /^default-src 'none'; style-src 'sha256-/);
  for (const words of ['timestamp', 'acme', '2 of 3', 'PCI:0x1234', 'security@acme.example'])
    t.match(text, words);
  t.notMatch(text, /<script/);
  t.equal((await get('/?role=%3Cscript%3E&page=-1')).status, 200);
  t.notMatch((await get('/?role=%3Cscript%3E')).body.toString('utf8'), /<script/);
});

t.test('folders that are links out of the tree lead nowhere', async (t) => {
  const place = t.testdir({
    elsewhere: { '1.root.json': 'not of the tree' },
    linked: { inside: { '1.root.json': 'of the tree' }, targets: {} },
  });
  const linked = join(place, 'linked');
  const reader = new TreeReader(linked);
  const server = createServer((request, response) => {
    reader.answer(request.url ?? '', request, response).catch((error) => {
      response.writeHead(isIronError(error, 'E_NOT_FOUND') ? 404 : 500).end();
    });
  }).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const ask = async (path: string) => {
    const answer = await fetch(`${url}${path}`, { headers: { connection: 'close' } });
    return { status: answer.status, text: await answer.text() };
  };
  t.equal((await ask('/metadata/1.root.json')).status, 404, 'no such folder');
  symlinkSync(join(place, 'elsewhere'), join(linked, 'metadata'));
  symlinkSync(join(place, 'elsewhere'), join(linked, 'targets/acme'));
  for (const path of ['/metadata/1.root.json', '/targets/acme/1.root.json'])
    t.match(await ask(path), { status: 404, text: '' }, path);
  unlinkSync(join(linked, 'metadata'));
  symlinkSync('inside', join(linked, 'metadata'));
  t.match(await ask('/metadata/1.root.json'), { status: 200, text: 'of the tree' });
});
