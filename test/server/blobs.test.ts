/** Uploads: resumed, wrong, slow, huge, somebody else's, and of a signed request sent twice. */

import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import { paced } from '../../server/http/pace.ts';
import { UPLOAD_TYPE } from '../../shared/api/upload.ts';
import { utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { api } from '../../shared/layout.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import { sha256, signedTargets, testVendor } from '../support/repository.ts';
import { Caller, call, codeOf, running } from './support.ts';

t.test('an upload goes on where it broke off, also after a restart', async (t) => {
  const first = await running(t);
  const bytes = randomBytes(300_000);
  const digest = sha256(bytes);
  const { caller, home } = first;
  t.equal((await caller.send('HEAD', api.blob(digest))).status, 404);
  const begun = await caller.patch(digest, 0, bytes.length, bytes.subarray(0, 100_000));
  t.equal(begun.status, 204);
  t.equal(begun.headers['upload-offset'], '100000');
  const head = await caller.send('HEAD', api.blob(digest));
  t.equal(head.headers['upload-offset'], '100000');
  t.equal(head.headers['upload-length'], '300000');

  const wrong = await caller.patch(digest, 50_000, bytes.length, bytes.subarray(50_000));
  t.equal(wrong.status, 409);
  t.equal(codeOf(wrong), 'E_CONFLICT');
  t.equal(wrong.headers['upload-offset'], '100000', 'and says where to go on');
  const other = await caller.patch(digest, 100_000, bytes.length + 1, bytes.subarray(100_000));
  t.equal(codeOf(other), 'E_CONFLICT', 'another length in all');

  await caller.patch(digest, 100_000, bytes.length, bytes.subarray(100_000, 200_000));
  const again = await first.restart();
  const done = await again.caller.patch(digest, 200_000, bytes.length, bytes.subarray(200_000));
  t.equal(done.status, 204, 'the part on the disk was hashed again');
  const stored = join(home, 'private/quarantine/acme', digest);
  t.same(readFileSync(stored), bytes);
  t.equal(statSync(stored).mode & 0o777, 0o444);
  const once = await again.caller.patch(digest, bytes.length, bytes.length, new Uint8Array());
  t.equal(once.status, 204, 'asking for the end of what is complete is fine');
  t.equal(codeOf(await again.caller.patch(digest, 0, bytes.length, bytes)), 'E_CONFLICT');
});

t.test('a connection that breaks leaves what came', async (t) => {
  const { caller } = await running(t);
  const bytes = randomBytes(100_000);
  const digest = sha256(bytes);
  const offsetNow = async (): Promise<number> => {
    const head = await caller.send('HEAD', api.blob(digest));
    return Number(head.headers['upload-offset'] ?? 0);
  };
  // The cable breaks when the bytes are there: what is still under way then is lost with it.
  async function* broken() {
    yield bytes.subarray(0, 60_000);
    while ((await offsetNow()) < 60_000) await setTimeout(20);
    throw new Error('the cable');
  }
  const cut = caller.patch(digest, 0, bytes.length, Readable.from(broken()));
  await t.rejects(cut);
  const offset = await offsetNow();
  t.equal(offset, 60_000);
  // Until the service has noticed, the blob is somebody's who is sending it.
  let rest = await caller.patch(digest, offset, bytes.length, bytes.subarray(offset));
  for (let i = 0; i < 50 && rest.status === 503; i++) {
    await setTimeout(20);
    rest = await caller.patch(digest, offset, bytes.length, bytes.subarray(offset));
  }
  t.equal(rest.status, 204);
});

t.test('bytes that are not what they were called are discarded', async (t) => {
  const { caller, home } = await running(t);
  const digest = sha256(utf8('right'));
  const answer = await caller.patch(digest, 0, 5, utf8('wrong'));
  t.equal(answer.status, 422);
  t.equal(codeOf(answer), 'E_HASH');
  t.same(readdirSync(join(home, 'private/quarantine/acme')), []);
  t.equal((await caller.patch(digest, 0, 5, utf8('right'))).status, 204);
  const more = await caller.patch(sha256(utf8('x')), 0, 1, utf8('xy'));
  t.equal(codeOf(more), 'E_LENGTH');
  const empty = await caller.patch(sha256(new Uint8Array()), 0, 0, new Uint8Array());
  t.equal(empty.status, 204, 'an empty file is a file');
});

t.test('limits', async (t) => {
  const { caller, home } = await running(t);
  const digest = sha256(utf8('big'));
  const huge = await caller.patch(digest, 0, SERVER_LIMITS.artifact + 1, utf8('big'));
  t.equal(codeOf(huge), 'E_TOO_LARGE');
  // What was announced counts, not what came: eight of eight GiB fill the room.
  for (let i = 0; i < 8; i++) {
    const name = sha256(utf8(`big ${i}`));
    t.equal((await caller.patch(name, 0, SERVER_LIMITS.artifact, utf8('b'))).status, 204);
  }
  t.equal(codeOf(await caller.patch(sha256(utf8('one')), 0, 1, utf8('1'))), 'E_QUOTA');
  t.equal(readdirSync(join(home, 'private/quarantine/acme')).length, 8);
  for (const path of [
    '/api/v1/blobs/../../x',
    '/api/v1/blobs/ABC',
    `/api/v1/blobs/${'A'.repeat(64)}`,
  ]) {
    const headers = await caller.headers('HEAD', path);
    t.ok((await call(caller.url, 'HEAD', path, headers)).status >= 400, path);
  }
});

t.test('what lies around for a week is swept away', async (t) => {
  const { caller, home, repository, clock } = await running(t);
  const bytes = utf8('left behind');
  await caller.patch(sha256(bytes), 0, bytes.length, bytes);
  const path = join(home, 'private/quarantine/acme', sha256(bytes));
  utimesSync(path, clock.now - 6 * 86_400, clock.now - 6 * 86_400);
  await repository.worker.tick();
  t.ok(statSync(path).isFile());
  utimesSync(path, clock.now - 8 * 86_400, clock.now - 8 * 86_400);
  await repository.worker.tick();
  t.same(readdirSync(join(home, 'private/quarantine/acme')), []);
});

t.test('a vendor neither sees nor uses what another one sent', async (t) => {
  const { caller, repository, operators, acme, service, clock } = await running(t);
  const evil = testVendor('evil');
  const targets = await signedTargets(operators, 2, [acme, evil]);
  const { id } = await repository.intake.submitOperatorFiles([targets], false);
  await repository.worker.settled(id, 20);
  await repository.worker.drain();
  t.equal(repository.intake.find(id, undefined).state, 'published');
  const bytes = utf8('a secret of acme, not published yet');
  await caller.patch(sha256(bytes), 0, bytes.length, bytes);
  const other = new Caller(service.url, evil.api, clock);
  t.equal((await other.send('HEAD', api.blob(sha256(bytes)))).status, 404);
  const claimed = await other.patch(sha256(bytes), bytes.length, bytes.length, new Uint8Array());
  t.equal(codeOf(claimed), 'E_CONFLICT', 'knowing the digest is not having the bytes');
});

t.test('a signed request counts once, also after a restart', async (t) => {
  const first = await running(t);
  const { caller, clock } = first;
  const bytes = utf8('once');
  const path = api.blob(sha256(bytes));
  const headers = await caller.headers('PATCH', path, {
    'content-type': UPLOAD_TYPE,
    'upload-offset': '0',
    'upload-length': String(bytes.length),
  });
  t.equal((await call(caller.url, 'PATCH', path, headers, bytes)).status, 204);
  const second = await call(caller.url, 'PATCH', path, headers, bytes);
  t.equal(codeOf(second), 'E_REPLAY');
  const again = await first.restart();
  t.equal(again.service.url, first.service.url);
  t.equal(codeOf(await call(caller.url, 'PATCH', path, headers, bytes)), 'E_REPLAY');
  clock.now += 61;
  t.equal(codeOf(await call(caller.url, 'PATCH', path, headers, bytes)), 'E_UNAUTHENTICATED');
  const elsewhere = { ...(await caller.headers('HEAD', path)), host: 'other.example' };
  t.equal((await call(caller.url, 'HEAD', path, elsewhere)).status, 401, 'not meant for us');
});

t.test('a body without a signature is not waited for', async (t) => {
  const { service } = await running(t);
  const { port } = new URL(service.url);
  const socket = connect(Number(port), '127.0.0.1');
  const head = [
    `PATCH ${api.blob('0'.repeat(64))} HTTP/1.1`,
    `host: 127.0.0.1:${port}`,
    `content-type: ${UPLOAD_TYPE}`,
    'content-length: 1000000',
  ];
  socket.write(`${head.join('\r\n')}\r\n\r\nfew bytes`);
  const [answer] = (await Promise.race([
    new Promise((resolve) => socket.once('data', (data) => resolve([String(data)]))),
    setTimeout(3000, ['nothing']),
  ])) as [string];
  t.match(answer, /^HTTP\/1\.1 401 /);
  socket.destroy();
});

t.test('a body that comes too slowly is ended', async (t) => {
  const pace = { minimumBytesPerSecond: 1000, windowSeconds: 0.2 };
  async function* drip(pauseMs: number, size: number) {
    for (let i = 0; i < 20; i++) {
      await setTimeout(pauseMs);
      yield new Uint8Array(size);
    }
  }
  async function count(body: AsyncIterable<Uint8Array>): Promise<number> {
    let length = 0;
    for await (const part of paced(body, pace)) length += part.length;
    return length;
  }
  t.equal(await count(drip(20, 100)), 2000, 'fast enough, and nothing is lost between windows');
  const slow = await count(drip(20, 1)).catch((error) => error);
  t.ok(slow instanceof IronError && slow.code === 'E_SLOW');
  const never = (async function* () {
    yield new Uint8Array(1);
    await new Promise(() => {});
  })();
  const stuck = await count(never).catch((error) => error);
  t.ok(stuck instanceof IronError && stuck.code === 'E_SLOW', 'also when nothing comes at all');
});
