/** What operators hand in: roots, targets, rotations, and everything that is not theirs to do. */

import t from 'tap';
import { MemoryStore } from '../../client/store/memory.ts';
import { openRepository } from '../../server/repository.ts';
import { OPERATOR_FILES_SCHEMA, submissionReply } from '../../shared/api/upload.ts';
import { toBase64, utf8 } from '../../shared/bytes.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { api } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { DAY } from '../../shared/time.ts';
import {
  formatMetadata,
  keyTable,
  objectMember,
  sign,
  snapshotTree,
  targetEntry,
  timestampTree,
  withFields,
} from '../../shared/tuf/build.ts';
import { keyId } from '../../shared/tuf/key.ts';
import { parseRoot } from '../../shared/tuf/root.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { TODAY } from '../support/clock.ts';
import { testKey } from '../support/keys.ts';
import {
  installOnlineKey,
  type Operators,
  sha256,
  signedRole,
  signedRoot,
  signedTargets,
  testArtifact,
  testVendor,
} from '../support/repository.ts';
import {
  type Answer,
  call,
  codeOf,
  type Running,
  repositoryOptions,
  running,
  updaterOf,
} from './support.ts';

function handIn(url: string, files: readonly Uint8Array[], token?: string): Promise<Answer> {
  const body = utf8(JSON.stringify({ schema: OPERATOR_FILES_SCHEMA, files: files.map(toBase64) }));
  const headers = {
    'content-type': 'application/json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  return call(url, 'POST', api.operatorFiles, headers, body);
}

async function ended({ service }: Running, answer: Answer) {
  if (answer.status !== 202) return { state: 'refused', error: { code: codeOf(answer) } } as const;
  const { id } = submissionReply.parse(JSON.parse(answer.body.toString('utf8')));
  const end = await call(service.url, 'GET', `${api.submission(id)}?wait=20`);
  return submissionReply.parse(JSON.parse(end.body.toString('utf8')));
}

const submit = async (it: Running, files: readonly Uint8Array[]) =>
  await ended(it, await handIn(it.service.url, files));

/** A second root that is signed as it must be and says what it must not. */
async function bentRoot(operators: Operators, bend: (tree: JsonObject) => JsonObject) {
  const tree = bend(parseRoot(await signedRoot(operators, 2)).envelope.tree);
  return formatMetadata(tree, await sign(platformCrypto, tree, operators.root.slice(0, 2)));
}

function withThreshold(tree: JsonObject, role: string, threshold: number): JsonObject {
  const roles = objectMember(tree, 'roles');
  return withFields(tree, {
    roles: withFields(roles, { [role]: withFields(objectMember(roles, role), { threshold }) }),
  });
}

async function bentTargets(operators: Operators, delegations: JsonObject) {
  const tree = withFields(
    parseTargets(await signedTargets(operators, 2, []), 'targets').envelope.tree,
    { delegations },
  );
  return formatMetadata(tree, await sign(platformCrypto, tree, operators.targets.slice(0, 1)));
}

t.test('targets that admit a vendor', async (t) => {
  const it = await running(t);
  const targets = await signedTargets(it.operators, 2, [it.acme, testVendor('globex')]);
  const reply = await submit(it, [targets]);
  t.match(reply, { state: 'published', role: 'targets', version: 2 });
  const published = await it.repository.current.need();
  t.same([...published.vendors.keys()], ['acme', 'globex']);
  t.same(published.snapshot.version, 2);
  t.equal((await submit(it, [targets])).error?.code, 'E_CONFLICT', 'once');
});

t.test('what is not the operators’ to say, or not said by them', async (t) => {
  const it = await running(t);
  const { operators, acme } = it;
  const stranger = [testKey('stranger')];
  const entry = new Map([
    ['acme/edu/1.0.0/x', targetEntry({ length: 1, sha256: sha256(utf8('x')) })],
  ]);
  const cases: [string, string, Uint8Array[]][] = [
    [
      'targets by a stranger',
      'E_THRESHOLD',
      [await signedTargets(operators, 2, [acme], { signers: stranger })],
    ],
    [
      'targets by an online key',
      'E_THRESHOLD',
      [await signedTargets(operators, 2, [acme], { signers: operators.snapshot })],
    ],
    ['targets of a version too far', 'E_CONFLICT', [await signedTargets(operators, 3, [acme])]],
    [
      'targets that expired',
      'E_EXPIRED',
      [await signedTargets(operators, 2, [acme], { expires: TODAY })],
    ],
    [
      'targets that live too long',
      'E_POLICY',
      [await signedTargets(operators, 2, [acme], { expires: TODAY + 200 * DAY })],
    ],
    [
      'targets that list an artifact',
      'E_POLICY',
      [await signedTargets(operators, 2, [acme], { targets: entry })],
    ],
    [
      'a vendor in the namespace of another',
      'E_DELEGATION',
      [await signedTargets(operators, 2, [acme], { paths: () => ['*/*/*/*'] })],
    ],
    [
      'an API key that signs metadata',
      'E_KEY',
      [await signedTargets(operators, 2, [testVendor('acme', { api: acme.tuf[0] as never })])],
    ],
    [
      'two targets files',
      'E_USAGE',
      [await signedTargets(operators, 2, [acme]), await signedTargets(operators, 2, [])],
    ],
    ['root 1 again', 'E_CONFLICT', [await signedRoot(operators, 1)]],
    [
      'a root by one key',
      'E_THRESHOLD',
      [await signedRoot(operators, 2, { signers: operators.root.slice(0, 1) })],
    ],
    [
      'a root by strangers',
      'E_THRESHOLD',
      [await signedRoot({ ...operators, root: ['a', 'b', 'c'].map((name) => testKey(name)) }, 2)],
    ],
    ['a root that expired', 'E_EXPIRED', [await signedRoot(operators, 2, { expires: TODAY })]],
    [
      'a root that drops the targets key',
      'E_THRESHOLD',
      [await signedRoot({ ...operators, targets: stranger }, 2)],
    ],
    ['no metadata at all', 'E_SCHEMA', [utf8('{}')]],
    ['a root that skips one', 'E_CONFLICT', [await signedRoot(operators, 3)]],
    [
      'a root that lives too long',
      'E_POLICY',
      [await signedRoot(operators, 2, { expires: TODAY + 367 * DAY })],
    ],
    [
      'a root without consistent snapshots',
      'E_SCHEMA',
      [await bentRoot(operators, (tree) => withFields(tree, { consistent_snapshot: false }))],
    ],
    [
      'a root with a threshold that nobody reaches',
      'E_KEY',
      [await bentRoot(operators, (tree) => withThreshold(tree, 'timestamp', 7))],
    ],
    [
      'a root with a threshold of none',
      'E_SCHEMA',
      [await bentRoot(operators, (tree) => withThreshold(tree, 'timestamp', 0))],
    ],
    [
      'two vendors with one API key',
      'E_KEY',
      [await signedTargets(operators, 2, [acme, testVendor('globex', { api: acme.api })])],
    ],
    [
      'a vendor with a name that is reserved',
      'E_NAME',
      [await signedTargets(operators, 2, [testVendor('mirrors')])],
    ],
    [
      'the role of revocations, as if it were a vendor',
      'E_DELEGATION',
      [await signedTargets(operators, 2, [testVendor('revocations')])],
    ],
    [
      'bins in the place of vendors',
      'E_DELEGATION',
      [
        await bentTargets(
          operators,
          jsonObject([
            ['keys', keyTable(platformCrypto, [acme.tuf[0]?.key as never])],
            [
              'succinct_roles',
              jsonObject([
                ['keyids', [keyId(platformCrypto, acme.tuf[0]?.key as never)]],
                ['threshold', 1],
                ['bit_length', 2],
                ['name_prefix', 'bins'],
              ]),
            ],
          ]),
        ),
      ],
    ],
  ];
  for (const [name, code, files] of cases) {
    t.equal((await submit(it, files)).error?.code, code, name);
  }
  const huge = await call(
    it.service.url,
    'POST',
    api.operatorFiles,
    { 'content-type': 'application/json' },
    new Uint8Array(9 * 1024 * 1024),
  );
  t.equal(codeOf(huge), 'E_TOO_LARGE');
  t.equal((await it.repository.current.need()).snapshot.version, 1, 'nothing was published');
});

t.test('a root whose online keys are not here is refused, until they are', async (t) => {
  const it = await running(t);
  const elsewhere = { ...it.operators, timestamp: [testKey('timestamp elsewhere')] };
  const refused = await submit(it, [await signedRoot(elsewhere, 2)]);
  t.equal(refused.error?.code, 'E_KEY');
  t.match(refused.error, { hint: /timestamp\.next\.json/ });
  const next = { ...it.operators, timestamp: [await installOnlineKey(it.home, 'timestamp.next')] };
  const reply = await submit(it, [await signedRoot(next, 2)]);
  t.equal(reply.state, 'published');
  const published = await it.repository.current.need();
  t.match(published, { root: { version: 2 }, timestamp: { version: 2 }, snapshot: { version: 2 } });
  t.equal(published.timestamp.envelope.signatures.size, 2, 'old and new key sign once together');
  it.clock.now += DAY;
  await it.repository.worker.tick();
  const later = await it.repository.current.need();
  t.equal(later.timestamp.envelope.signatures.size, 1, 'and then the new one alone');
});

t.test('a vendor whose keys were replaced signs again, and others go on', async (t) => {
  const it = await running(t);
  const first = await testArtifact(it.acme);
  await it.caller.uploadAll([first]);
  await it.caller.submit('acme', await signedRole(it.acme, 1, [first]));
  const renewed = testVendor('acme', { tuf: [testKey('acme tuf new')], threshold: 1 });
  const reply = await submit(it, [await signedTargets(it.operators, 2, [renewed])]);
  t.equal(reply.state, 'published');
  t.ok(
    'verdicts' in reply &&
      reply.verdicts.some(
        ({ detail }) => /acme/.test(detail) && /until they publish again/.test(detail),
      ),
  );
  const old = await it.caller.submit('acme', await signedRole(it.acme, 2, [first]));
  t.equal(old.error?.code, 'E_THRESHOLD');
  const again = await it.caller.submit('acme', await signedRole(renewed, 2, [first]));
  t.equal(again.state, 'published', again.error?.message ?? '');
});

t.test('a vendor that is dropped keeps its place, and goes on from there', async (t) => {
  const it = await running(t);
  const first = await testArtifact(it.acme);
  await it.caller.uploadAll([first]);
  await it.caller.submit('acme', await signedRole(it.acme, 1, [first]));
  const reply = await submit(it, [await signedTargets(it.operators, 2, [testVendor('globex')])]);
  t.equal(reply.state, 'published');
  const dropped = await it.repository.current.need();
  t.equal(dropped.version('acme'), 1, 'a role once in a snapshot stays in it');
  t.equal((await it.caller.send('HEAD', api.blob('ab'.repeat(32)))).status, 401);
  t.equal((await call(it.service.url, 'GET', '/')).status, 200);
  const both = await signedTargets(it.operators, 3, [it.acme, testVendor('globex')]);
  t.equal((await submit(it, [both])).state, 'published');
  t.equal((await it.caller.submit('acme', await signedRole(it.acme, 1, []))).state, 'refused');
  const next = await it.caller.submit('acme', await signedRole(it.acme, 2, [first]));
  t.equal(next.state, 'published', next.error?.message ?? '');
});

t.test(
  'what vendors wait with is judged by the targets that stand when it is published',
  async (t) => {
    const it = await running(t);
    const { repository, operators, acme } = it;
    const artifact = await testArtifact(acme);
    await it.caller.uploadAll([artifact]);
    await it.stop();
    const waiting = await openRepository(repositoryOptions(it.home, it.clock));
    t.teardown(() => waiting.close());
    t.ok(repository);
    // Judged while acme is admitted; dropped before it is published.
    const bytes = await signedRole(acme, 1, [artifact]);
    const targets = await signedTargets(operators, 2, []);
    const operator = await waiting.intake.submitOperatorFiles([targets], false);
    const vendor = await waiting.intake.submitRole({ vendor: 'acme', role: 'acme', bytes });
    t.equal(vendor.state, 'queued');
    await waiting.worker.drain();
    t.equal(waiting.intake.find(operator.id, undefined).state, 'published');
    const { state, error } = waiting.intake.find(vendor.id, 'acme');
    t.match({ state, error }, { state: 'refused', error: { code: 'E_NOT_AUTHORISED' } });
    t.equal((await waiting.current.need()).version('acme'), 0);
  },
);

t.test('with expired targets nothing is renewed, and it is said', async (t) => {
  const it = await running(t);
  it.clock.days(183);
  await t.rejects(it.repository.worker.tick(), { code: 'E_EXPIRED' });
  t.equal((await it.repository.current.need()).timestamp.version, 1);
});

t.test('recovery from fast-forward: a root that replaces both online keys', async (t) => {
  const it = await running(t);
  const pin = (await it.repository.current.need()).roots.get(1) as Uint8Array;
  const store = new MemoryStore(pin);
  await updaterOf(it.home, it.clock, store).refresh();
  // Who stole both keys shows this host versions that nothing honest can ever exceed.
  const far = Number.MAX_SAFE_INTEGER;
  const roles = new Map([['targets', 1]]);
  const snapshot = snapshotTree(far, it.clock.now + DAY, roles);
  const bytes = formatMetadata(
    snapshot,
    await sign(platformCrypto, snapshot, it.operators.snapshot),
  );
  const meta = { version: far, length: bytes.length, sha256: sha256(bytes) };
  const timestamp = timestampTree(far, it.clock.now + DAY, meta);
  const stolen = formatMetadata(
    timestamp,
    await sign(platformCrypto, timestamp, it.operators.timestamp),
  );
  await store.write('timestamp', stolen);
  await store.write('snapshot', bytes);
  await store.writeFloors({ root: 1, timestamp: far, snapshot: far, roles });
  await t.rejects(updaterOf(it.home, it.clock, store).refresh(), { code: 'E_ROLLBACK' });

  const next = {
    ...it.operators,
    snapshot: [await installOnlineKey(it.home, 'snapshot.next')],
    timestamp: [await installOnlineKey(it.home, 'timestamp.next')],
  };
  t.equal((await submit(it, [await signedRoot(next, 2)])).state, 'published');
  const trusted = await updaterOf(it.home, it.clock, store).refresh();
  t.equal(trusted.root.version, 2);
  t.equal(trusted.timestamp?.version, 2, 'versions go on from the honest tree');
});

t.test('several roots at once, with new root keys', async (t) => {
  const it = await running(t);
  const second = { ...it.operators, root: ['n1', 'n2', 'n3'].map((name) => testKey(name)) };
  const files = [
    await signedRoot(second, 3),
    await signedRoot(second, 2, { previous: it.operators }),
  ];
  const reply = await submit(it, files);
  t.match(reply, { state: 'published', role: 'root', version: 3 });
});

t.test('expired root and targets: vendors wait, operators get through', async (t) => {
  const it = await running(t);
  const artifact = await testArtifact(it.acme);
  await it.caller.uploadAll([artifact]);
  it.clock.days(183);
  const role = await signedRole(it.acme, 1, [artifact], { expires: it.clock.now + DAY });
  const pending = it.caller.submit('acme', role);
  const now = it.clock.now;
  const targets = await signedTargets(it.operators, 2, [it.acme], { expires: now + DAY });
  t.equal((await submit(it, [targets])).state, 'published');
  t.equal((await pending).state, 'published');
});

t.test('renewal, by the clock that was passed in', async (t) => {
  const it = await running(t);
  const { repository, clock } = it;
  const versions = async () => {
    const { timestamp, snapshot } = await repository.current.need();
    return [timestamp.version, snapshot.version];
  };
  await repository.worker.tick();
  t.same(await versions(), [1, 1], 'fresh ones are left alone');
  clock.now += DAY / 2 + 1;
  await repository.worker.tick();
  t.same(await versions(), [2, 1], 'the timestamp after half a day');
  clock.days(3);
  await repository.worker.tick();
  t.same(await versions(), [3, 2], 'the snapshot after half a week');
  clock.days(100);
  await repository.worker.tick();
  clock.days(-100);
  await repository.worker.tick();
  t.same(await versions(), [5, 4], 'and what a clock that went ahead signed');
  const { timestamp, snapshot } = await repository.current.need();
  t.equal(timestamp.expires, clock.now + DAY);
  t.equal(snapshot.expires, clock.now + 7 * DAY);
  clock.days(30);
  await it.restart();
  const health = async () => (await call(it.service.url, 'GET', '/healthz')).status;
  for (let i = 0; i < 100 && (await health().catch(() => 503)) !== 200; i++)
    await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(await health(), 200, 'and at once after a long sleep');
});
