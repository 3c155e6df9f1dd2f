/** Resumable uploads as tus 1.0.0 has them, over the service's own signatures and quarantine. */

import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import type { OutgoingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import { RequestRate } from '../../server/intake/rate.ts';
import { formatUploadMetadata } from '../../shared/api/tus.ts';
import { UPLOAD_TYPE } from '../../shared/api/upload.ts';
import { utf8 } from '../../shared/bytes.ts';
import { api } from '../../shared/layout.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import { sha256, signedTargets, testVendor } from '../support/repository.ts';
import { type Answer, Caller, call, codeOf, running } from './support.ts';

const TUS = { 'tus-resumable': '1.0.0' };

/** A client of the protocol, as far as it goes by itself: each request is signed as it is sent. */
class Tus {
  readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  /** The signed headers of a request, to be sent once or twice. */
  creation(digest: string, length: number | string, extra: Record<string, string> = {}) {
    return this.caller.headers('POST', api.blobs, {
      ...TUS,
      'upload-length': String(length),
      'upload-metadata': formatUploadMetadata(digest),
      ...extra,
    });
  }

  async create(digest: string, length: number | string, extra = {}): Promise<Answer> {
    const headers = await this.creation(digest, length, extra);
    return await call(this.caller.url, 'POST', api.blobs, headers);
  }

  piece(digest: string, offset: number, length: number): Promise<OutgoingHttpHeaders> {
    return this.caller.headers('PATCH', api.blob(digest), {
      ...TUS,
      'content-type': UPLOAD_TYPE,
      'upload-offset': String(offset),
      'content-length': String(length),
    });
  }

  async patch(
    digest: string,
    offset: number,
    body: Uint8Array | Readable,
    length = (body as Uint8Array).length,
  ): Promise<Answer> {
    const headers = await this.piece(digest, offset, length);
    return await call(this.caller.url, 'PATCH', api.blob(digest), headers, body);
  }

  async ask(method: 'HEAD' | 'DELETE', digest: string): Promise<Answer> {
    const path = api.blob(digest);
    return await call(this.caller.url, method, path, await this.caller.headers(method, path, TUS));
  }
}

t.test('the protocol, walked from its beginning over a restart to its end', async (t) => {
  const first = await running(t);
  const { home, clock } = first;
  const tus = new Tus(first.caller);
  const bytes = randomBytes(300_000);
  const digest = sha256(bytes);

  // tus, core, OPTIONS: what the server speaks, told to everybody.
  const options = await call(first.service.url, 'OPTIONS', api.blobs);
  t.equal(options.status, 204);
  t.match(options.headers, {
    'tus-resumable': '1.0.0',
    'tus-version': '1.0.0',
    'tus-extension': 'creation,expiration,termination',
    'tus-max-size': String(SERVER_LIMITS.artifact),
  });

  t.equal((await tus.ask('HEAD', digest)).status, 404);
  const created = await tus.create(digest, bytes.length);
  t.equal(created.status, 201);
  t.equal(created.headers.location, api.blob(digest));
  t.equal(created.headers['tus-resumable'], '1.0.0');
  const expires = new Date((clock.now + SERVER_LIMITS.quarantineSeconds) * 1000).toUTCString();
  t.equal(created.headers['upload-expires'], expires);

  const begun = await tus.patch(digest, 0, bytes.subarray(0, 100_000));
  t.equal(begun.status, 204);
  t.equal(begun.headers['upload-offset'], '100000');
  t.equal(begun.headers['upload-expires'], expires);
  const head = await tus.ask('HEAD', digest);
  t.match(head.headers, {
    'tus-resumable': '1.0.0',
    'upload-offset': '100000',
    'upload-length': '300000',
    'upload-metadata': formatUploadMetadata(digest),
    'upload-expires': expires,
    'cache-control': 'no-store',
  });

  // Created once more, by a client that forgot: where it is, is not changed.
  const again = await tus.create(digest, bytes.length);
  t.equal(again.status, 201);
  t.equal(again.headers['upload-offset'], '100000');
  t.equal(codeOf(await tus.create(digest, bytes.length + 1)), 'E_CONFLICT');

  await first.restart();
  const rest = await tus.patch(digest, 100_000, bytes.subarray(100_000));
  t.equal(rest.status, 204);
  t.equal(rest.headers['upload-offset'], '300000');
  t.notOk(rest.headers['upload-expires'], 'what is complete does not expire as an upload');
  t.same(readFileSync(join(home, 'private/quarantine/acme', digest)), bytes);
  const done = await tus.ask('DELETE', digest);
  t.equal(done.status, 409, 'a submission may rest on it');
  t.equal(codeOf(done), 'E_CONFLICT');

  const nothing = sha256(new Uint8Array());
  t.equal((await tus.create(nothing, 0)).status, 201, 'no bytes are complete when created');
  t.equal((await tus.ask('HEAD', nothing)).headers['upload-length'], '0');
  t.equal(codeOf(await tus.create(sha256(utf8('x')), 0)), 'E_HASH');
});

t.test('requests that lie, and what they leave', async (t) => {
  const { caller, home } = await running(t);
  const tus = new Tus(caller);
  const folder = join(home, 'private/quarantine/acme');
  const bytes = utf8('the right bytes');
  const digest = sha256(bytes);

  // Each as it would be done, were it not for the version.
  const others: readonly (readonly [
    method: string,
    path: string,
    headers: Record<string, string>,
  ])[] = [
    ['HEAD', api.blob(digest), {}],
    [
      'POST',
      api.blobs,
      { 'upload-length': `${bytes.length}`, 'upload-metadata': formatUploadMetadata(digest) },
    ],
    [
      'PATCH',
      api.blob(digest),
      { 'content-type': UPLOAD_TYPE, 'upload-offset': '0', 'content-length': `${bytes.length}` },
    ],
    ['DELETE', api.blob(digest), {}],
  ];
  for (const [method, path, headers] of others) {
    const old = await caller.headers(method, path, { 'tus-resumable': '0.2.2', ...headers });
    const unspoken = await call(
      ...([caller.url, method, path, old, method === 'PATCH' ? bytes : undefined] as const),
    );
    t.equal(unspoken.status, 412, `${method}: tus, core, Tus-Resumable`);
    t.equal(unspoken.headers['tus-version'], '1.0.0', method);
  }

  t.equal((await tus.patch(digest, 0, bytes)).status, 404, 'it was not created');
  for (const length of ['-1', '1.5', '1e3', '00', '9'.repeat(20)])
    t.ok((await tus.create(digest, length)).status >= 400, `length ${JSON.stringify(length)}`);
  t.equal(codeOf(await tus.create(digest, SERVER_LIMITS.artifact + 1)), 'E_TOO_LARGE');
  for (const metadata of ['sha256', 'sha256 YWJj', `sha256 ${'A'.repeat(86)}==`, 'x y'])
    t.ok((await tus.create(digest, 5, { 'upload-metadata': metadata })).status >= 400, metadata);
  const deferred = await tus.create(digest, 5, { 'upload-defer-length': '1' });
  t.equal(codeOf(deferred), 'E_USAGE');
  const withBody = await tus.creation(digest, 5);
  const carried = await call(caller.url, 'POST', api.blobs, withBody, bytes);
  t.equal(codeOf(carried), 'E_USAGE', 'a body that nobody signed');
  t.notOk(existsSync(folder), 'none of it left a trace');

  t.equal((await tus.create(digest, bytes.length)).status, 201);
  const early = await tus.patch(digest, 3, bytes.subarray(3));
  t.equal(early.status, 409);
  t.equal(early.headers['upload-offset'], '0', 'and says where to go on');
  const beyond = await tus.patch(digest, 0, utf8('the right bytes and more'));
  t.equal(codeOf(beyond), 'E_LENGTH');
  t.equal((await tus.ask('HEAD', digest)).headers['upload-offset'], '0', 'not a byte was taken');
  const wrong = await tus.patch(digest, 0, utf8('the wrong bytes'));
  t.equal(wrong.status, 422);
  t.equal(codeOf(wrong), 'E_HASH');
  t.same(readdirSync(folder), [], 'nothing of it is kept');
  t.equal((await tus.ask('HEAD', digest)).status, 404);
});

t.test('what is signed of a request is what it does', async (t) => {
  const first = await running(t);
  const { caller } = first;
  const tus = new Tus(caller);
  const bytes = utf8('some bytes');
  const digest = sha256(bytes);
  const send = (method: string, path: string, headers: object, body?: Uint8Array) =>
    call(caller.url, method, path, headers as OutgoingHttpHeaders, body);

  const creation = await tus.creation(digest, bytes.length);
  const other = formatUploadMetadata(sha256(utf8('others')));
  for (const change of [{ 'upload-length': '11' }, { 'upload-metadata': other }])
    t.equal((await send('POST', api.blobs, { ...creation, ...change })).status, 401);
  t.equal((await send('POST', api.blobs, creation)).status, 201, 'none of that took the nonce');
  t.equal(codeOf(await send('POST', api.blobs, creation)), 'E_REPLAY');

  const piece = await tus.piece(digest, 0, 4);
  const path = api.blob(digest);
  t.equal((await send('PATCH', path, { ...piece, 'upload-offset': '1' }, bytes)).status, 401);
  const longer = { ...piece, 'content-length': '10' };
  t.equal((await send('PATCH', path, longer, bytes)).status, 401);
  const { 'tus-resumable': _, ...bare } = piece;
  const plain = { ...bare, 'upload-length': '10' };
  t.equal((await send('PATCH', path, plain, bytes.subarray(0, 4))).status, 401, 'the other form');
  const whole = { 'content-type': UPLOAD_TYPE, 'upload-offset': '0', 'upload-length': '10' };
  const signed = await caller.headers('PATCH', path, whole);
  t.equal((await send('PATCH', path, { ...signed, ...TUS }, bytes)).status, 401, 'and back');

  t.equal((await send('PATCH', path, piece, bytes.subarray(0, 4))).status, 204);
  await first.restart();
  t.equal(codeOf(await send('PATCH', path, piece, bytes.subarray(0, 4))), 'E_REPLAY');
  t.equal(codeOf(await send('POST', api.blobs, creation)), 'E_REPLAY', 'also after a restart');
  t.equal((await tus.ask('HEAD', digest)).headers['upload-offset'], '4');
});

t.test('two at one upload: one goes on, the other is told to wait', async (t) => {
  const { caller } = await running(t);
  const tus = new Tus(caller);
  const bytes = randomBytes(100_000);
  const digest = sha256(bytes);
  await tus.create(digest, bytes.length);
  const offset = async () => Number((await tus.ask('HEAD', digest)).headers['upload-offset']);
  let letGo = (): void => {};
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  async function* slow() {
    yield bytes.subarray(0, 40_000);
    await held;
    yield bytes.subarray(40_000);
  }
  const winner = tus.patch(digest, 0, Readable.from(slow()), bytes.length);
  while ((await offset()) < 40_000) await setTimeout(10);

  const loser = await tus.patch(digest, 40_000, bytes.subarray(40_000));
  t.equal(loser.status, 423);
  t.equal(codeOf(loser), 'E_TRY_AGAIN');
  const stop = await tus.ask('DELETE', digest);
  t.equal(stop.status, 423, 'nor is it taken from under it');
  letGo();
  t.equal((await winner).status, 204);
  const late = await tus.patch(digest, 40_000, bytes.subarray(40_000));
  t.equal(late.status, 409);
  t.equal(late.headers['upload-offset'], '100000');
});

t.test('an upload ends unfinished: told to, or forgotten', async (t) => {
  const first = await running(t);
  const { caller, home, clock } = first;
  const tus = new Tus(caller);
  const folder = join(home, 'private/quarantine/acme');
  const bytes = utf8('left behind');
  const digest = sha256(bytes);

  await tus.create(digest, bytes.length);
  await tus.patch(digest, 0, bytes.subarray(0, 4));
  t.equal((await tus.ask('DELETE', digest)).status, 204);
  t.same(readdirSync(folder), []);
  t.equal((await tus.ask('DELETE', digest)).status, 404);
  // The hash of what was deleted is not gone on with.
  await tus.create(digest, bytes.length);
  t.equal((await tus.patch(digest, 0, bytes)).status, 204);

  const second = sha256(utf8('another'));
  await tus.create(second, 7);
  await tus.patch(second, 0, utf8('ano'));
  const part = join(folder, `${second}.7.part`);
  const began = clock.now - SERVER_LIMITS.quarantineSeconds;
  utimesSync(part, began + 60, began + 60);
  const again = await first.restart();
  await again.repository.worker.tick();
  const soon = new Date((clock.now + 60) * 1000).toUTCString();
  t.equal((await tus.ask('HEAD', second)).headers['upload-expires'], soon);
  clock.now += 61;
  await again.repository.worker.tick();
  t.equal((await tus.ask('HEAD', second)).status, 404, 'swept away at the time that was said');
  t.equal((await tus.patch(second, 3, utf8('ther'))).status, 404);
});

t.test('the quota counts what was announced', async (t) => {
  const first = await running(t);
  const tus = new Tus(first.caller);
  for (let i = 0; i < 8; i++)
    t.equal((await tus.create(sha256(utf8(`big ${i}`)), SERVER_LIMITS.artifact)).status, 201);
  t.equal(codeOf(await tus.create(sha256(utf8('1')), 1)), 'E_QUOTA');
  await first.restart();
  t.equal(codeOf(await tus.create(sha256(utf8('1')), 1)), 'E_QUOTA', 'after a restart too');
  t.equal((await tus.ask('DELETE', sha256(utf8('big 3')))).status, 204);
  t.equal((await tus.create(sha256(utf8('1')), 1)).status, 201);
});

t.test('another vendor sees nothing and takes nothing of it', async (t) => {
  const { caller, repository, operators, acme, service, clock } = await running(t);
  const evil = testVendor('evil');
  const targets = await signedTargets(operators, 2, [acme, evil]);
  const { id } = await repository.intake.submitOperatorFiles([targets], false);
  await repository.worker.drain();
  t.equal(repository.intake.find(id, undefined).state, 'published');
  const mine = new Tus(caller);
  const other = new Tus(new Caller(service.url, evil.api, clock));
  const bytes = utf8('not published yet');
  const digest = sha256(bytes);
  await mine.create(digest, bytes.length);
  await mine.patch(digest, 0, bytes.subarray(0, 3));
  t.equal((await other.ask('HEAD', digest)).status, 404);
  t.equal((await other.patch(digest, 3, bytes.subarray(3))).status, 404);
  t.equal((await other.ask('DELETE', digest)).status, 404);
  const own = await other.create(digest, bytes.length);
  t.equal(own.headers['upload-offset'], '0', 'an upload of its own, from the beginning');
  t.equal((await mine.ask('HEAD', digest)).headers['upload-offset'], '3');
});

t.test('what a power cut left of the bytes is found out by the digest', async (t) => {
  const first = await running(t);
  const tus = new Tus(first.caller);
  const bytes = randomBytes(50_000);
  const digest = sha256(bytes);
  await tus.create(digest, bytes.length);
  await tus.patch(digest, 0, bytes.subarray(0, 30_000));
  await first.stop();
  // As a file system may leave it: as long as it was, and zeros at its end.
  const part = join(first.home, 'private/quarantine/acme', `${digest}.50000.part`);
  writeFileSync(part, new Uint8Array(10_000), { flag: 'r+' });
  utimesSync(part, first.clock.now, first.clock.now);
  await first.restart();
  t.equal(codeOf(await tus.patch(digest, 30_000, bytes.subarray(30_000))), 'E_HASH');
  t.equal((await tus.ask('HEAD', digest)).status, 404, 'none of it is kept');
});

t.test('a vendor asks so often and no more', (t) => {
  let now = 100;
  const rate = new RequestRate({ perSecond: 8, burst: 3 }, () => now);
  for (let i = 0; i < 3; i++) rate.take('acme');
  t.throws(() => rate.take('acme'), { code: 'E_QUOTA', context: { retry_after: 1 } });
  rate.take('other');
  now += 0.125;
  rate.take('acme');
  t.throws(() => rate.take('acme'), { code: 'E_QUOTA' });
  now += 1000;
  for (let i = 0; i < 3; i++) rate.take('acme');
  t.throws(() => rate.take('acme'), { code: 'E_QUOTA' }, 'what was not used is not saved up');
  t.end();
});
