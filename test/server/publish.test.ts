import { existsSync, readdirSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { checkTree } from '../../server/publish/fsck.ts';
import { openRepository } from '../../server/repository.ts';
import { utf8 } from '../../shared/bytes.ts';
import { api, tree } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import {
  sha256,
  signedRole,
  signedTargets,
  testArtifact,
  testVendor,
} from '../support/repository.ts';
import { Caller, call, clientOf, codeOf, madeHome, repositoryOptions, running } from './support.ts';

const PATH = 'acme/edu/1.0.0/edu.js';

t.test('from upload to a client', async (t) => {
  const { home, clock, acme, caller, service, repository } = await running(t);
  const content = utf8('a driver');
  const artifact = await testArtifact(acme, PATH, content);
  await caller.uploadAll([artifact]);
  const reply = await caller.submit('acme', await signedRole(acme, 1, [artifact]));
  t.match(reply, { state: 'published', role: 'acme', version: 1, published: { snapshot: 2 } });
  t.same(reply.error, undefined);
  t.ok(reply.verdicts.every(({ ok }) => ok));
  for (const check of ['role', 'threshold', 'version', 'expiry', 'namespace', 'sizes', 'blobs'])
    t.ok(
      reply.verdicts.some((verdict) => verdict.check === check),
      check,
    );
  t.ok(reply.verdicts.some(({ check }) => check === `hardware ${PATH}`));
  t.match(
    reply.verdicts.find(({ check }) => check === `ceiling ${PATH}`),
    { ok: true, detail: /^valid; advice: devices\[0\] names neither class nor subsystem/ },
    'what is worth a second look is said, and refuses nothing',
  );

  const file = await call(service.url, 'GET', `/${tree.target(PATH, sha256(content))}`);
  t.equal(file.status, 200);
  t.same(file.body, Buffer.from(content), 'byte for byte');
  const pin = await readFile(join(home, 'tree/metadata/1.root.json'));
  const found = await clientOf(home, clock, pin).find(PATH);
  t.equal(found?.entry.hashes.get('sha256'), sha256(content));
  // The answer comes before what is no longer needed is removed.
  await repository.worker.drain();
  t.same(readdirSync(join(home, 'private/quarantine/acme')), [], 'nothing stays in quarantine');
  t.same(readdirSync(join(home, 'private/staging')), [], 'nor in staging');
  const report = await checkTree(join(home, 'tree'), {
    crypto: platformCrypto,
    clock: clock.read,
  });
  t.same(report.findings, []);
  t.equal(report.targets, 5);
});

t.test('a second version takes over what is published, without its bytes', async (t) => {
  const { home, acme, caller } = await running(t);
  const first = await testArtifact(acme);
  await caller.uploadAll([first]);
  t.equal((await caller.submit('acme', await signedRole(acme, 1, [first]))).state, 'published');

  const second = await testArtifact(acme, 'acme/edu/1.0.1/edu.js');
  await caller.uploadAll([second]);
  const reply = await caller.submit('acme', await signedRole(acme, 2, [first, second]));
  t.equal(reply.state, 'published', reply.error?.message ?? '');
  t.same(readdirSync(join(home, 'tree/targets/acme/edu')).sort(), ['1.0.0', '1.0.1']);
  // The same bytes under a third path: not sent again, and one file on the disk.
  const bytes = utf8(`the driver at ${PATH}`);
  const third = await testArtifact(acme, 'acme/edu/1.0.2/edu.js', bytes);
  const head = await caller.send('HEAD', api.blob(sha256(bytes)));
  t.equal(head.headers['upload-offset'], String(bytes.length), 'it is there already');
  for (const [digest, blob] of third.blobs)
    if (digest !== sha256(bytes)) await caller.patch(digest, 0, blob.length, blob);
  const last = await caller.submit('acme', await signedRole(acme, 3, [first, second, third]));
  t.equal(last.state, 'published', last.error?.message ?? '');
  const place = (version: string): string =>
    join(home, 'tree', tree.target(`acme/edu/${version}/edu.js`, sha256(bytes)));
  t.equal(statSync(place('1.0.2')).ino, statSync(place('1.0.0')).ino);
});

t.test('submissions that wait together become one snapshot', async (t) => {
  const { home, acme, caller, repository } = await running(t);
  const artifact = await testArtifact(acme);
  await caller.uploadAll([artifact]);
  const role = await signedRole(acme, 1, [artifact]);
  // Twice the same version: one is published, the other told that it came second.
  const replies = await Promise.all([caller.submit('acme', role), caller.submit('acme', role)]);
  t.same(replies.map(({ state }) => state).sort(), ['published', 'refused']);
  t.equal(replies.find(({ state }) => state === 'refused')?.error?.code, 'E_CONFLICT');
  const published = await repository.current.need();
  t.equal(published.snapshot.version, 2);
  t.notOk(existsSync(join(home, 'tree/metadata/3.snapshot.json')));
});

t.test('who is not admitted gets in nowhere', async (t) => {
  const { service, clock } = await running(t);
  const stranger = new Caller(service.url, testVendor('evil').api, clock);
  for (const [method, path] of [
    ['HEAD', api.blob('0'.repeat(64))],
    ['GET', api.submission('0'.repeat(32))],
    ['POST', api.submissions],
  ] as const) {
    const answer = await stranger.send(method, path, method === 'POST' ? utf8('{}') : undefined);
    t.equal(answer.status, 401, `${method} ${path}`);
  }
  const patched = await stranger.patch(sha256(utf8('x')), 0, 1, utf8('x'));
  t.equal(codeOf(patched), 'E_UNAUTHENTICATED');
});

t.test('vendors who wait together become one snapshot', async (t) => {
  const { home, clock, operators } = await madeHome(t);
  const vendors = ['acme', 'globex', 'initech'].map((name) => testVendor(name));
  const repository = await openRepository(repositoryOptions(home, clock));
  t.teardown(() => repository.close());
  const { intake, worker, current } = repository;
  await intake.submitOperatorFiles([await signedTargets(operators, 2, vendors)], false);
  await worker.drain();
  const ids: [string, string][] = [];
  for (const vendor of vendors) {
    const bytes = await signedRole(vendor, 1, []);
    const { id } = await intake.submitRole({ vendor: vendor.name, role: vendor.name, bytes });
    ids.push([id, vendor.name]);
  }
  await worker.drain();
  for (const [id, vendor] of ids)
    t.match(intake.find(id, vendor), { state: 'published', published: { snapshot: 3 } });
  t.same([...(await current.need()).snapshot.roles.keys()].sort(), [
    'acme',
    'globex',
    'initech',
    'targets',
  ]);
});
