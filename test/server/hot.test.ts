/** Reads from memory: the very answers of the disk, of what the tree has at that moment. */

import { createHash, randomBytes } from 'node:crypto';
import {
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { Agent, createServer, type OutgoingHttpHeaders, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { endWithError } from '../../server/http/errors.ts';
import { targetOf } from '../../server/http/head.ts';
import { Log } from '../../server/observe/log.ts';
import { ServiceMetrics } from '../../server/observe/service-metrics.ts';
import { openRepository } from '../../server/repository.ts';
import { startService } from '../../server/service.ts';
import { type HotFile, HotFiles, isHot } from '../../server/static/hot.ts';
import { TreeReader } from '../../server/static/serve.ts';
import { HOT_LIMITS } from '../../shared/limits.ts';
import { parseSnapshot } from '../../shared/tuf/snapshot.ts';
import { parseTimestamp } from '../../shared/tuf/timestamp.ts';
import { signedRole, testArtifact } from '../support/repository.ts';
import { Caller, call, madeHome, repositoryOptions, running, temporaryHome } from './support.ts';

interface Raw {
  readonly status: number;
  /** Names and values as they came, without the date. */
  readonly fields: readonly string[];
  readonly body: Buffer;
}

/** Over connections that stay open: thousands of requests are made. */
function asker(t: Test, url: string) {
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  const { hostname, port } = new URL(url);
  return (method: string, path: string, headers: OutgoingHttpHeaders = {}): Promise<Raw> =>
    new Promise((resolve, reject) => {
      const sent = request(
        { host: hostname, port, method, path, headers, agent },
        async (answer) => {
          const parts: Buffer[] = [];
          for await (const part of answer) parts.push(part);
          const fields = answer.rawHeaders.map((text, at, all) =>
            (at % 2 === 1 ? all[at - 1] : text) === 'Date' ? '' : text,
          );
          resolve({ status: answer.statusCode ?? 0, fields, body: Buffer.concat(parts) });
        },
      );
      sent.on('error', reject).end();
    });
}

/** A tree behind a socket; how many answers came from memory. */
async function served(t: Test, folder: string, hot: HotFiles) {
  const reader = new TreeReader(folder, hot);
  const count = { memory: 0 };
  const server = createServer((request, response) => {
    const { path } = targetOf(request);
    if (reader.answerNow(path, request, response)) count.memory += 1;
    else reader.answer(path, request, response).catch((error) => endWithError(response, error));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { ask: asker(t, `http://127.0.0.1:${port}`), count };
}

/** A folder laid out like a tree, with files of each kind. */
function madeTree(t: Test): string {
  const folder = temporaryHome(t);
  mkdirSync(join(folder, 'metadata'));
  mkdirSync(join(folder, 'targets/acme'), { recursive: true });
  const put = (path: string, bytes: string | Buffer): void =>
    writeFileSync(join(folder, path), bytes);
  put('metadata/timestamp.json', '{"signed":1}');
  put('metadata/1.root.json', JSON.stringify({ text: 'r'.repeat(3000) }));
  put('metadata/2.tiny.json', '{}');
  put('metadata/3.empty.json', '');
  // Nothing makes it smaller.
  put('metadata/4.random.json', randomBytes(2000));
  put('metadata/5.large.json', JSON.stringify({ text: 'l'.repeat(HOT_LIMITS.file) }));
  put('metadata/6.a%2Fb.json', JSON.stringify({ text: 'n'.repeat(2000) }));
  put('targets/acme/7.json', JSON.stringify({ text: 't'.repeat(2000) }));
  return folder;
}

const PATHS = [
  '/metadata/timestamp.json',
  '/metadata/1.root.json',
  '/metadata/%31.root.json?x=1',
  '/metadata/2.tiny.json',
  '/metadata/3.empty.json',
  '/metadata/4.random.json',
  '/metadata/5.large.json',
  '/metadata/6.a%252Fb.json',
  '/targets/acme/7.json',
  '/metadata/2.absent.json',
  '/metadata/..%2fmetadata/1.root.json',
];

t.test('whatever is asked for, the answer is that of the disk, to the byte', async (t) => {
  const folder = madeTree(t);
  const plain = await served(t, folder, new HotFiles(0));
  const hot = await served(t, folder, new HotFiles());
  let compared = 0;
  for (const path of PATHS) {
    const { fields } = await plain.ask('GET', path);
    const own = fields[fields.indexOf('etag') + 1] ?? '"none"';
    const encoded = `${own.slice(0, -1)}+gzip"`;
    for (const method of ['GET', 'HEAD'])
      for (const accepted of [undefined, 'gzip', 'br, gzip;q=0'])
        for (const range of [undefined, 'bytes=1-1', 'bytes=9999999-', 'bytes=0-0,1-1'])
          for (const known of [undefined, own, `"x", W/${encoded}`, '*'])
            for (const ifRange of range === undefined ? [undefined] : [undefined, own, '"other"']) {
              const headers: OutgoingHttpHeaders = {
                ...(accepted && { 'accept-encoding': accepted }),
                ...(range && { range }),
                ...(known && { 'if-none-match': known }),
                ...(ifRange && { 'if-range': ifRange }),
              };
              const [a, b] = await Promise.all([
                plain.ask(method, path, headers),
                hot.ask(method, path, headers),
              ]);
              compared += 1;
              if (
                a.status !== b.status ||
                !a.body.equals(b.body) ||
                `${a.fields}` !== `${b.fields}`
              )
                t.same(b, a, `${method} ${path} ${JSON.stringify(headers)}`);
            }
  }
  t.equal(plain.count.memory, 0, 'without memory nothing is answered from it');
  t.ok(hot.count.memory > compared / 3, `${hot.count.memory} of ${compared} from memory`);
  // Each of those that are kept was read once, and compressed once for each encoding at most.
  t.ok(compared - hot.count.memory < (compared / PATHS.length) * 4 + 40);
});

t.test('the tree decides what is there', async (t) => {
  const folder = madeTree(t);
  const { ask, count } = await served(t, folder, new HotFiles());
  const at = (path: string): string => join(folder, 'metadata', path);
  const root = (): Promise<Raw> => ask('GET', '/metadata/1.root.json');
  const gzipped = (): Promise<Raw> =>
    ask('GET', '/metadata/1.root.json', { 'accept-encoding': 'gzip' });
  const first = await root();
  t.same(await root(), first);
  t.equal(count.memory, 1);
  await gzipped();
  const old = await gzipped();
  t.equal(count.memory, 2, 'compressed, too');

  renameSync(at('1.root.json'), join(folder, 'away'));
  t.equal((await root()).status, 404, 'moved away');
  t.equal((await gzipped()).status, 404);
  renameSync(join(folder, 'away'), at('1.root.json'));
  t.same((await root()).body, first.body, 'put back');

  // Of the same length and the same date.
  const { atime, mtime } = statSync(at('1.root.json'));
  const other = JSON.stringify({ text: 'o'.repeat(3000) });
  writeFileSync(at('.tmp'), other);
  utimesSync(at('.tmp'), atime, mtime);
  renameSync(at('.tmp'), at('1.root.json'));
  t.equal((await root()).body.toString(), other, 'another file');
  t.notSame((await gzipped()).body, old.body);
  t.notSame((await gzipped()).body, old.body);

  rmSync(at('1.root.json'));
  symlinkSync('2.tiny.json', at('1.root.json'));
  t.equal((await root()).status, 404, 'a link');
  rmSync(at('1.root.json'));
  mkdirSync(at('1.root.json'));
  t.equal((await root()).status, 404, 'a folder');
  renameSync(join(folder, 'metadata'), join(folder, 'old'));
  t.equal((await ask('GET', '/metadata/2.tiny.json')).status, 404, 'its folder is away');
  t.equal((await ask('GET', '/metadata/timestamp.json')).status, 404);
});

t.test('a timestamp is the new one from its rename on', async (t) => {
  const folder = madeTree(t);
  const { ask, count } = await served(t, folder, new HotFiles());
  const place = join(folder, 'metadata/timestamp.json');
  const etags = new Set<string>();
  for (let version = 0; version < 50; version++) {
    // As a publication does it: a second name, then the rename. All are of one length.
    const bytes = `{"version":${1000 + version}}`;
    writeFileSync(join(folder, 'staged'), bytes);
    linkSync(join(folder, 'staged'), join(folder, 'metadata/.tmp'));
    renameSync(join(folder, 'metadata/.tmp'), place);
    for (const _ of [1, 2, 3]) {
      const { body, fields } = await ask('GET', '/metadata/timestamp.json');
      t.equal(body.toString(), bytes);
      const etag = fields[fields.indexOf('etag') + 1] as string;
      t.equal(etag, `"${createHash('sha256').update(bytes).digest('hex')}"`);
      etags.add(etag);
    }
    rmSync(join(folder, 'staged'));
  }
  t.equal(etags.size, 50);
  t.ok(count.memory >= 50, 'between two of them it comes from memory');
});

t.test('never more bytes than are allowed, and what is wanted stays longest', async (t) => {
  const folder = temporaryHome(t);
  const place = join(folder, 'file');
  writeFileSync(place, 'x');
  const identity = statSync(place);
  const fileOf = (size: number): HotFile => ({
    place,
    identity,
    body: new Uint8Array(size),
    plain: { etag: '', size, type: '', fields: [], whole: [] },
    isCompressible: false,
  });
  const limit = 100_000;
  const step = fc.record({ name: fc.nat(60), size: fc.nat(40_000), keeps: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const hot = new HotFiles(limit);
      const names = new Set<string>();
      for (const { name, size, keeps } of steps) {
        names.add(`${name}`);
        if (keeps) hot.keep(`${name}`, fileOf(size));
        else hot.get(`${name}`);
        if (hot.held > limit || hot.held < 0) throw new Error(`${hot.held} bytes are held`);
      }
      const there = [...names].map((name) => hot.get(name)?.body.length ?? 0);
      if (there.reduce((sum, size) => sum + size, 0) > hot.held) throw new Error('counted wrong');
      // None of it stays when all of it is gone.
      for (const name of names) hot.keep(name, fileOf(limit));
      if (hot.held !== 0) throw new Error(`${hot.held} bytes of nothing`);
    }),
    { numRuns: 200 },
  );
  const hot = new HotFiles(limit);
  hot.keep('wanted', fileOf(20_000));
  for (let other = 0; other < 100; other++) {
    t.ok(hot.get('wanted'), `still there beside ${other} others`);
    hot.keep(`other ${other}`, fileOf(20_000));
  }
  hot.keep('too large', fileOf(limit));
  t.equal(hot.get('too large'), undefined);
  t.ok(isHot('metadata/1.a.json', HOT_LIMITS.file));
  for (const [path, size] of [
    ['metadata/1.a.json', HOT_LIMITS.file + 1],
    ['metadata/a.json', 10],
    ['targets/1.a.json', 10],
    ['metadata/sub/1.a.json', 10],
  ] as const)
    t.notOk(isHot(path, size), path);
});

t.test('who reads while it is published sees the old or the new, and never both', async (t) => {
  const { service, caller, acme, home } = await running(t);
  const ask = asker(t, service.url);
  let isOver = false;
  let reads = 0;
  const reader = async (): Promise<void> => {
    for (let last = 0; !isOver; reads++) {
      const shown = await ask('GET', '/metadata/timestamp.json');
      const { version, snapshot } = parseTimestamp(shown.body);
      if (version < last) t.fail(`${version} after ${last}`);
      last = version;
      const listed = await ask('GET', `/metadata/${snapshot.version}.snapshot.json`);
      const digest = createHash('sha256').update(listed.body).digest('hex');
      if (listed.status !== 200 || snapshot.hashes?.get('sha256') !== digest)
        t.fail(`timestamp ${version} names another snapshot ${snapshot.version}`);
      for (const [role, meta] of parseSnapshot(listed.body).roles) {
        const { status } = await ask('HEAD', `/metadata/${meta.version}.${role}.json`);
        if (status !== 200) t.fail(`${role} ${meta.version} is listed and not there`);
      }
    }
  };
  const readers = [reader(), reader(), reader()];
  for (let version = 1; version <= 12; version++) {
    const artifact = await testArtifact(acme, `acme/edu/1.0.${version}/edu.js`);
    await caller.uploadAll([artifact]);
    const before = reads;
    const reply = await caller.submit('acme', await signedRole(acme, version, [artifact]));
    t.equal(reply.state, 'published');
    const { body } = await ask('GET', '/metadata/timestamp.json');
    t.same(body, readFileSync(join(home, 'tree/metadata/timestamp.json')));
    t.ok(parseTimestamp(body).version >= (reply.published?.timestamp ?? Number.NaN));
    while (reads < before + 3) await new Promise((resolve) => setImmediate(resolve));
  }
  isOver = true;
  await Promise.all(readers);
});

t.test(
  'the service answers from memory ahead of its routes, and still sees each request',
  async (t) => {
    const { home, clock, acme } = await madeHome(t);
    const lines: string[] = [];
    const metrics = new ServiceMetrics();
    const log = new Log((line) => lines.push(line), clock.read);
    const repository = await openRepository(repositoryOptions(home, clock));
    const listen = { host: '127.0.0.1', port: 0 };
    const service = await startService(repository, { listen, log, metrics });
    t.teardown(() => service.close());
    const caller = new Caller(service.url, acme.api, clock);
    await caller.submit('acme', await signedRole(acme, 1, []));
    lines.length = 0;
    const ask = asker(t, service.url);
    const ids = new Set<string>();
    const headers = { 'accept-encoding': 'gzip' };
    for (const path of [
      '/metadata/1.root.json',
      '/metadata/timestamp.json',
      '/metadata/1.acme.json',
    ])
      for (const method of ['GET', 'HEAD'])
        for (const more of [{}, headers]) {
          const answers = [];
          for (let time = 0; time < 3; time++) {
            const { fields, ...answer } = await ask(method, path, more);
            t.equal(answer.status, 200);
            t.equal(fields[0], 'x-request-id');
            ids.add(fields[1] as string);
            answers.push({ ...answer, fields: fields.slice(2) });
          }
          t.same(answers[1], answers[0], `${method} ${path}`);
          t.same(answers[2], answers[0], `${method} ${path}`);
        }
    t.equal(ids.size, 36, 'each has an id of its own');
    // A connection is done with a request a little after its answer was read.
    while (lines.length < 36) await new Promise((resolve) => setImmediate(resolve));
    const seen = lines.map((line) => JSON.parse(line));
    t.same(new Set(seen.map(({ id }) => id)), ids, 'and a line');
    t.ok(seen.every(({ status, sent, complete }) => status === 200 && sent > 0 && complete));
    const text = await metrics.registry.text();
    t.match(text, 'ironport_requests_total{route="timestamp",method="GET",status="200"} 6\n');
    t.match(text, 'ironport_requests_total{route="metadata",method="HEAD",status="200"} 12\n');
    t.equal((await call(service.url, 'DELETE', '/metadata/1.root.json')).status, 404);
    t.equal((await call(service.url, 'OPTIONS', '/metadata/1.root.json')).status, 204);
  },
);
