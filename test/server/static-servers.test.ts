/**
 * The same tree by the service, by `serve-static` and by nginx with the configuration that we ship:
 * what readers and caches rely on is the same, and none of them gives out anything else.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { freePort } from '../../scripts/demo/support/port.ts';
import { serveTree } from '../../server/http/static-server.ts';
import { program } from '../../server/main.ts';
import { acceptedEncoding, Compressed } from '../../server/static/encoding.ts';
import { ENCODING_LIMITS } from '../../shared/limits.ts';
import { runInProcess } from '../support/program.ts';
import { signedRole, testArtifact } from '../support/repository.ts';
import { type Answer, call, running, temporaryHome } from './support.ts';

const { home, service, caller, acme } = await running(t);
const artifact = await testArtifact(acme, 'acme/edu/1.0.0/edu.js', Buffer.alloc(300_000, 'driver'));
await caller.uploadAll([artifact]);
await caller.submit('acme', await signedRole(acme, 1, [artifact]));
const tree = join(home, 'tree');
const [digest] = [...artifact.blobs.keys()];
const TARGET = `/targets/acme/edu/1.0.0/${digest}.edu.js`;
const ROLE = '/metadata/1.acme.json';
const roleBytes = readFileSync(join(tree, ROLE));

// What must never be given out, each way in.
writeFileSync(join(home, 'outside'), 'secret');
writeFileSync(join(tree, 'beside.json'), 'secret');
writeFileSync(join(tree, 'metadata/.tmp-1'), 'secret');
mkdirSync(join(tree, 'metadata/folder.json'));
symlinkSync(join(home, 'outside'), join(tree, 'metadata/9.link.json'));
symlinkSync(home, join(tree, 'targets/up'));
t.teardown(() => rmSync(join(tree, 'targets/up'), { force: true }));

// Marks of what was collected (a percent sign and a space in a name are as they are in the tree).
const digits = 'ab'.repeat(32);
const COLLECTED = `/targets/acme/edu/0.9.0/${digits}.edu.js`;
const DEEP = `/targets/acme/edu/0.9.0/${digits}.${encodeURIComponent('a b%2f')}`;
const LISTED_AGAIN = TARGET;
mkdirSync(join(tree, 'collected/acme/edu/0.9.0/folder'), { recursive: true });
mkdirSync(join(tree, 'collected/acme/edu/1.0.0'), { recursive: true });
for (const mark of [
  `acme/edu/0.9.0/${digits}.edu.js`,
  `acme/edu/0.9.0/${digits}.a b%2f`,
  `acme/edu/1.0.0/${digest}.edu.js`,
  '2.root.json',
  '.hidden',
])
  writeFileSync(join(tree, 'collected', mark), '');
symlinkSync(join(home, 'outside'), join(tree, 'collected/acme/edu/0.9.0/link'));
symlinkSync(home, join(tree, 'collected/acme/up'));
t.teardown(() => rmSync(join(tree, 'collected'), { recursive: true, force: true }));

const FORBIDDEN = [
  '/collected/2.root.json',
  `/collected/acme/edu/0.9.0/${digits}.edu.js`,
  '/targets/.hidden',
  '/targets/acme/edu/0.9.0/folder',
  '/targets/acme/edu/0.9.0',
  '/targets/acme/edu/0.9.0/link',
  '/targets/acme/up/outside',
  '/targets/acme/../acme/edu/0.9.0/',
  '/targets/..%2fcollected/2.root.json',
  '/targets/acme/edu/0.9.0//edu.js',
  '/beside.json',
  '/metadata/.tmp-1',
  '/metadata/9.link.json',
  '/targets/up/outside',
  '/targets/up/private/keys/snapshot.json',
  '/metadata/../beside.json',
  '/metadata/..%2fbeside.json',
  '/metadata/%2e%2e/beside.json',
  '/metadata/%2e%2e%2f%2e%2e%2foutside',
  '/metadata/..%5c..%5coutside',
  '/metadata//1.acme.json',
  '/metadata/folder.json',
  '/metadata/',
  '/metadata',
  '/targets/',
  '/private/state.sqlite',
  '/tree/metadata/1.root.json',
  '/metadata/1.acme.json/',
  '/metadata/1.acme.json%00',
  '/metadata/2.root.json',
  `/metadata/${'a'.repeat(5000)}`,
  '/.preflight',
];

const { url: ours, close } = await serveTree({
  folder: tree,
  listen: { host: '127.0.0.1', port: 0 },
  onFailure: (error) => t.fail(error.message),
});
t.teardown(() => close(1));

/** nginx over the same tree, with the file that we ship; undefined where it is not installed. */
async function nginx(): Promise<string | undefined> {
  if (spawnSync('nginx', ['-v']).error !== undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'ironport-nginx-'));
  const port = await freePort();
  const shipped = readFileSync('docker/nginx.conf', 'utf8')
    .replace('listen 8080', `listen 127.0.0.1:${port}`)
    .replace('/srv/ironport/tree', tree);
  writeFileSync(join(folder, 'site.conf'), shipped);
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ');
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  writeFileSync(
    join(folder, 'nginx.conf'),
    `${user} daemon off; pid ${folder}/pid; error_log ${folder}/error.log; events {} http { access_log off; ${places} include ${folder}/site.conf; }`,
  );
  const child: ChildProcess = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], {
    stdio: 'inherit',
  });
  t.teardown(async () => {
    child.kill('SIGQUIT');
    if (child.exitCode === null) await once(child, 'exit');
    rmSync(folder, { recursive: true, force: true });
  });
  for (let tries = 0; tries < 200; tries++) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return `http://127.0.0.1:${port}`;
    await sleep(25);
  }
  throw new Error('nginx does not answer');
}

async function holds(t: Test, url: string): Promise<void> {
  const get = (path: string, headers = {}) => call(url, 'GET', path, headers);
  const isPublic = (answer: Answer, what: string): void => {
    const { headers } = answer;
    t.equal(headers['access-control-allow-origin'], '*', what);
    t.match(headers['access-control-expose-headers'], 'etag, content-range', what);
    t.equal(headers['x-content-type-options'], 'nosniff', what);
    t.match(headers['content-security-policy'], /default-src 'none'; sandbox/, what);
  };
  for (const path of [ROLE, TARGET, '/metadata/1.root.json']) {
    const answer = await get(path);
    t.equal(answer.status, 200, path);
    t.same(answer.body, readFileSync(join(tree, path)), path);
    t.equal(answer.headers['cache-control'], 'public, max-age=31536000, immutable', path);
    t.match(
      answer.headers['content-type'],
      path.endsWith('.json') ? /^application\/json$/ : /octet-stream/,
    );
    isPublic(answer, path);
    const { etag } = answer.headers;
    const same = await get(path, { 'if-none-match': `"x", ${etag}` });
    t.same([same.status, same.body.length], [304, 0], path);
    isPublic(same, `${path} 304`);
    t.equal((await get(path, { 'if-none-match': '"other"' })).status, 200);
    const head = await call(url, 'HEAD', path);
    t.same([head.status, head.body.length], [200, 0]);
    t.equal(head.headers['content-length'], String(answer.body.length));
    t.equal(head.headers.etag, etag);
  }
  const moving = await get('/metadata/timestamp.json');
  t.equal(moving.headers['cache-control'], 'no-cache');
  t.match(moving.headers.etag, /"/);
  isPublic(moving, 'timestamp');

  const range = (value: string, more = {}) => get(TARGET, { range: value, ...more });
  const part = await range('bytes=10-19');
  t.equal(part.status, 206);
  t.equal(part.headers['content-range'], 'bytes 10-19/300000');
  t.equal(part.body.toString(), 'erdriverdr');
  t.equal((await range('bytes=299990-')).body.length, 10);
  t.equal((await range('bytes=-7')).body.length, 7);
  t.equal((await range('bytes=5-9999999999')).body.length, 299_995);
  const past = await range('bytes=300000-');
  t.equal(past.status, 416);
  const { etag } = (await get(TARGET)).headers;
  t.equal((await range('bytes=0-0', { 'if-range': etag })).status, 206);
  t.equal((await range('bytes=0-0', { 'if-range': '"other"' })).status, 200);
  t.equal((await call(url, 'HEAD', TARGET)).headers['accept-ranges'], 'bytes');
  // Thousands of ranges, and numbers beyond all: never more than the file, and never an error of ours.
  const many = `bytes=${Array.from({ length: 700 }, (_, at) => `${at}-${at}`).join(',')}`;
  for (const hostile of [
    many,
    'bytes=0-,0-,0-,0-',
    'bytes=99999999999999999999-',
    'bytes=0-99999999999999999999',
    'bytes=-99999999999999999999',
    'bytes=5-2',
    'bytes=',
    'x=1-2',
  ]) {
    const { status, body } = await range(hostile);
    t.ok([200, 206, 416].includes(status), `${hostile.slice(0, 40)}: ${status}`);
    t.ok(body.length <= 300_000);
  }

  const plain = await get(ROLE);
  const zipped = await get(ROLE, { 'accept-encoding': 'gzip' });
  t.equal(zipped.headers['content-encoding'], 'gzip');
  t.match(zipped.headers.vary, /accept-encoding/i);
  t.match(plain.headers.vary, /accept-encoding/i, 'a cache must know that there is another');
  t.same(gunzipSync(zipped.body), roleBytes);
  t.ok(zipped.body.length < roleBytes.length);
  t.not(zipped.headers.etag, plain.headers.etag, 'another representation');
  t.equal(
    (await get(TARGET, { 'accept-encoding': 'gzip' })).headers['content-encoding'],
    undefined,
  );
  t.equal(
    (await get(ROLE, { 'accept-encoding': 'identity' })).headers['content-encoding'],
    undefined,
  );
  const both = await get(ROLE, {
    'accept-encoding': 'gzip',
    'if-none-match': String(zipped.headers.etag),
  });
  t.equal(both.status, 304);

  const preflight = await call(url, 'OPTIONS', ROLE, { origin: 'https://auditor.example' });
  t.equal(preflight.status, 204);
  t.match(preflight.headers['access-control-allow-headers'], 'if-none-match');
  for (const path of FORBIDDEN) {
    const answer = await get(path);
    t.ok([400, 404, 414].includes(answer.status), `${path.slice(0, 60)}: ${answer.status}`);
    t.notMatch(answer.body.toString(), /secret/, path.slice(0, 60));
  }
  for (const path of [COLLECTED, DEEP]) {
    const gone = await get(path);
    t.equal(gone.status, 410, path);
    t.equal(gone.headers['access-control-allow-origin'], '*');
    t.equal(gone.headers['cache-control'], 'no-store', 'it may be listed again');
    t.equal((await call(url, 'HEAD', path)).status, 410);
    t.equal((await get(path, { range: 'bytes=0-9' })).status, 410);
  }
  t.equal((await get(LISTED_AGAIN)).status, 200, 'what is there is there, whatever a mark says');
  const absent = await get('/metadata/2.root.json');
  t.equal(
    absent.headers['access-control-allow-origin'],
    '*',
    'a browser sees that there is no next root',
  );
  t.equal(absent.headers['cache-control'], 'no-store', 'and nobody keeps that');
  for (const method of ['POST', 'PUT', 'PATCH']) {
    const { status } = await call(url, method, ROLE, {}, Buffer.from('x'));
    t.ok(status >= 400 && status < 500, `${method}: ${status}`);
  }
}

t.test('the service', (t) => holds(t, service.url));
t.test('serve-static', (t) => holds(t, ours));

const other = await nginx();
t.test('nginx', { skip: other === undefined ? 'nginx is not installed' : false }, (t) =>
  holds(t, other as string),
);

t.test('brotli, and who asks for what', async (t) => {
  const { body, headers } = await call(ours, 'GET', ROLE, {
    'accept-encoding': 'gzip, deflate, br',
  });
  t.equal(headers['content-encoding'], 'br');
  t.same(brotliDecompressSync(body), roleBytes);
  t.equal(headers['content-length'], String(body.length));
  const part = await call(ours, 'GET', ROLE, { 'accept-encoding': 'br', range: 'bytes=0-9' });
  t.same(
    [part.status, part.headers['content-encoding']],
    [206, undefined],
    'a range is one of the plain file',
  );
  t.equal(acceptedEncoding(undefined), undefined);
  t.equal(acceptedEncoding('gzip;q=0, br;q=0.000'), undefined);
  t.equal(acceptedEncoding('GZIP ; q=0.5'), 'gzip');
  t.equal(acceptedEncoding('*'), undefined);
  t.equal(acceptedEncoding(`gzip,${'x,'.repeat(2000)}`), undefined);
});

t.test('compressed once, and no more than is kept', async (t) => {
  const compressed = new Compressed();
  let reads = 0;
  const read = async (): Promise<Uint8Array> => {
    reads += 1;
    return Buffer.alloc(5000, 'a');
  };
  const all = await Promise.all(
    Array.from({ length: 50 }, () => compressed.get('a', 'gzip', read)),
  );
  t.equal(reads, 1);
  t.ok(all.every((one) => one === all[0] && one !== undefined));
  const random = async () => (await import('node:crypto')).randomBytes(2000);
  t.equal(await compressed.get('b', 'gzip', random), undefined, 'it would not be smaller');
  const slow = Array.from({ length: 10 }, (_, at) =>
    compressed.get(`c${at}`, 'br', async () => {
      await sleep(20);
      return Buffer.alloc(2000);
    }),
  );
  const made = (await Promise.all(slow)).filter((one) => one !== undefined);
  t.equal(made.length, ENCODING_LIMITS.atOnce, 'the others are sent as they are');
  await t.rejects(compressed.get('d', 'br', async () => Promise.reject(new Error('gone'))));
  t.ok(await compressed.get('d', 'br', async () => Buffer.alloc(2000)), 'a failure is not kept');
});

t.test('the command', async (t) => {
  const refused = await runInProcess(program, [
    '127.0.0.1:0',
    'serve-static',
    temporaryHome(t),
    '--json',
  ]);
  t.match(refused.stdout, /E_NOT_FOUND/);
  const argv = ['bin/ironport-repo.js', '127.0.0.1:0', 'serve-static', home, '--log-json'];
  const child = spawn(process.execPath, argv);
  let printed = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  const exited = once(child, 'exit');
  let url: string | undefined;
  for (let tries = 0; url === undefined && tries < 400; tries++) {
    await sleep(25);
    url = /serving .* on (http:\S+)/.exec(printed)?.[1];
  }
  t.same((await call(url as string, 'GET', ROLE)).body, roleBytes);
  child.kill('SIGTERM');
  t.same(await exited, [0, null]);
  t.match(printed, /"route":"metadata"/);
});
