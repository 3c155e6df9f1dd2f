/** A vendor's keys are exchanged together with those of its hash bins: one snapshot, and nothing new. */

import t, { type Test } from 'tap';
import { BATCH_TYPE, formatBatch } from '../../shared/api/blob-batch.ts';
import { formatResignedRole, type ResignedBin } from '../../shared/api/resigned-role.ts';
import {
  OPERATOR_FILES_SCHEMA,
  SUBMISSION_SCHEMA,
  submissionReply,
} from '../../shared/api/upload.ts';
import { toBase64, toHex, utf8 } from '../../shared/bytes.ts';
import { Node } from '../../shared/json/decode.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { api } from '../../shared/layout.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { DAY } from '../../shared/time.ts';
import { formatMetadata, sign, succinctTree, targetsTree } from '../../shared/tuf/build.ts';
import { binFor, parseDelegations, type SuccinctRoles } from '../../shared/tuf/delegations.ts';
import { testKey } from '../support/keys.ts';
import {
  signedRole,
  signedTargets,
  type TestVendor,
  testArtifact,
  testVendor,
} from '../support/repository.ts';
import { type Caller, call, clientOf, codeOf, type Running, running } from './support.ts';

const sha256 = (bytes: Uint8Array): string => toHex(crypto.sha256(bytes));
const OLD = testVendor('acme');
const NEW = testVendor('acme', { tuf: [testKey('acme tuf 3')], threshold: 1 });
const BITS = 1;
const NAMES = ['acme.b1-0', 'acme.b1-1'] as const;

const delegating = ({ tuf, threshold }: TestVendor, bits = BITS): JsonObject =>
  succinctTree(crypto, { keys: tuf.map(({ key }) => key), threshold }, bits, `acme.b${bits}`);

async function upload(caller: Caller, blobs: readonly Uint8Array[]): Promise<void> {
  const body = formatBatch(blobs.map((bytes) => ({ sha256: sha256(bytes), bytes })));
  const extra = { 'content-type': BATCH_TYPE };
  const headers = await caller.headers('POST', api.blobs, extra, body);
  const answer = await call(caller.url, 'POST', api.blobs, headers, body);
  if (answer.status !== 200) throw new Error(answer.body.toString());
}

/** What operators hand in, to its end. */
async function handIn(it: Running, ...files: Uint8Array[]) {
  const body = utf8(JSON.stringify({ schema: OPERATOR_FILES_SCHEMA, files: files.map(toBase64) }));
  const answer = await call(
    ...([it.service.url, 'POST', api.operatorFiles] as const),
    ...([{ 'content-type': 'application/json' }, body] as const),
  );
  if (answer.status !== 202) return { state: 'refused', error: { code: codeOf(answer) } } as const;
  const { id } = submissionReply.parse(JSON.parse(answer.body.toString('utf8')));
  const end = await call(it.service.url, 'GET', `${api.submission(id)}?wait=20`);
  return submissionReply.parse(JSON.parse(end.body.toString('utf8')));
}

/** A vendor that is divided into two bins, as it is published. */
async function scene(t: Test) {
  const it = await running(t);
  const expires = it.clock.now + 30 * DAY;
  const artifact = await testArtifact(OLD, 'acme/edu/1.0.0/edu.js', undefined, {
    now: it.clock.now,
  });
  const succinct = parseDelegations(new Node(delegating(OLD), 'x')).succinct as SuccinctRoles;
  const contents = new Map(NAMES.map((name) => [name as string, new Map<string, JsonObject>()]));
  for (const [path, entry] of artifact.entries)
    contents.get(binFor(crypto, succinct, path))?.set(path, entry);
  const bin = async (name: string, version: number, by: TestVendor, change: BinChange = {}) => {
    const entries = change.entries ?? contents.get(name) ?? new Map();
    const tree = targetsTree(version, change.expires ?? expires, { targets: entries });
    return formatMetadata(tree, await sign(crypto, tree, by.tuf.slice(0, by.threshold)));
  };
  const both = (version: number, by: TestVendor) =>
    Promise.all(NAMES.map((name) => bin(name, version, by)));
  const role = (version: number, by: TestVendor, delegations = delegating(by)) =>
    signedRole(by, version, [], { expires, delegations });

  await it.caller.uploadAll([artifact]);
  const first = await both(1, OLD);
  await upload(it.caller, first);
  const document = {
    ...{ schema: SUBMISSION_SCHEMA, role: 'acme', metadata: toBase64(await role(1, OLD)) },
    bins: first.map((bytes, i) => ({ role: NAMES[i], sha256: sha256(bytes) })),
  };
  const answer = await it.caller.send('POST', api.submissions, utf8(JSON.stringify(document)));
  const { id } = submissionReply.parse(JSON.parse(answer.body.toString()));
  t.equal((await it.caller.ended(id)).state, 'published');
  const targets = await signedTargets(it.operators, 2, [NEW]);
  return { it, expires, bin, both, role, targets };
}

interface BinChange {
  readonly entries?: ReadonlyMap<string, JsonObject>;
  readonly expires?: number;
}

const inFile = (files: readonly Uint8Array[]): ResignedBin[] =>
  files.map((bytes, i) => ({ role: NAMES[i] as string, sha256: sha256(bytes), bytes }));
const byDigest = (files: readonly Uint8Array[]): ResignedBin[] =>
  inFile(files).map((bin) => ({ ...bin, bytes: undefined }));

t.test('role and bins by the new keys, in one snapshot', async (t) => {
  for (const way of ['in the file', 'uploaded'] as const) {
    const { it, both, role, targets } = await scene(t);
    const published = await it.repository.current.need();
    const pin = published.roots.get(1) as Uint8Array;
    const steady = clientOf(it.home, it.clock, pin);
    t.ok(await steady.find('acme/edu/1.0.0/edu.js'));
    const again = await both(2, NEW);
    if (way === 'uploaded') await upload(it.caller, again);
    const bins = way === 'uploaded' ? byDigest(again) : inFile(again);
    const file = formatResignedRole({ role: await role(2, NEW), bins });
    const reply = await handIn(it, file, targets);
    t.equal(reply.state, 'published', `${way}: ${JSON.stringify(reply.error)}`);
    t.match(
      reply,
      { verdicts: [{}, {}, { check: 'role', detail: /acme 2 .* with its 2 bins, and says/ }] },
      way,
    );
    const after = await it.repository.current.need();
    t.equal(after.snapshot.version, published.snapshot.version + 1, 'one snapshot');
    for (const name of ['acme', ...NAMES]) t.equal(after.version(name), 2, name);
    for (const client of [steady, clientOf(it.home, it.clock, pin)])
      t.ok(await client.find('acme/edu/1.0.0/edu.js'), `${way}: a host verifies it`);
  }
});

t.test('what may not come along', async (t) => {
  const { it, expires, bin, both, role, targets } = await scene(t);
  const own = await role(2, NEW);
  const good = await both(2, NEW);
  const [zero, one] = inFile(good) as [ResignedBin, ResignedBin];
  const before = (await it.repository.current.need()).snapshot.version;
  const file = (bins: readonly ResignedBin[], by = own) => formatResignedRole({ role: by, bins });
  const instead = async (...made: Parameters<typeof bin>) => {
    const bytes = await bin(...made);
    return [zero, { role: NAMES[1], sha256: sha256(bytes), bytes }];
  };
  const stray = new Map([
    ['acme/edu/9.0.0/edu.js', { length: 1, hashes: { sha256: '0'.repeat(64) } }],
  ]);
  const stranger = testVendor('acme', { tuf: [testKey('a stranger')], threshold: 1 });
  const refused: [string, string, Uint8Array][] = [
    ['without bins', 'E_DELEGATION', own],
    ['with none', 'E_DELEGATION', file([])],
    ['with one', 'E_DELEGATION', file([zero])],
    ['with one twice', 'E_DELEGATION', file([zero, zero])],
    ['with both, and one twice', 'E_DELEGATION', file([zero, one, one])],
    ['with a third', 'E_DELEGATION', file([zero, one, { ...one, role: 'acme.b1-2' }])],
    ['with another role', 'E_DELEGATION', file([zero, { ...one, role: 'globex' }])],
    ['not uploaded', 'E_NOT_FOUND', file(byDigest(good))],
    ['another digest', 'E_HASH', file([zero, { ...one, sha256: zero.sha256 }])],
    ['by the old keys', 'E_THRESHOLD', file(await instead(NAMES[1], 2, OLD))],
    ['by a stranger', 'E_THRESHOLD', file(await instead(NAMES[1], 2, stranger))],
    ['with something new', 'E_POLICY', file(await instead(NAMES[1], 2, NEW, { entries: stray }))],
    [
      'with something gone',
      'E_POLICY',
      file([
        ...(await Promise.all(
          NAMES.map(async (name) => {
            const bytes = await bin(name, 2, NEW, { entries: new Map() });
            return { role: name, sha256: sha256(bytes), bytes };
          }),
        )),
      ]),
    ],
    ['of a version too far', 'E_CONFLICT', file(await instead(NAMES[1], 3, NEW))],
    ['of the version that stands', 'E_CONFLICT', file(await instead(NAMES[1], 1, NEW))],
    ['expired', 'E_EXPIRED', file(await instead(NAMES[1], 2, NEW, { expires: it.clock.now - 1 }))],
    [
      'for too long',
      'E_POLICY',
      file(await instead(NAMES[1], 2, NEW, { expires: expires + 99 * DAY })),
    ],
    ['bins for a stranger', 'E_KEY', file(inFile(good), await role(2, NEW, delegating(stranger)))],
    ['bins of the old keys', 'E_DELEGATION', file([], await role(2, NEW, delegating(OLD)))],
    ['another number', 'E_POLICY', file(inFile(good), await role(2, NEW, delegating(NEW, 2)))],
    [
      'a role that says more',
      'E_POLICY',
      file(
        inFile(good),
        await signedRole(NEW, 2, [], { expires, delegations: delegating(NEW), extra: {} }),
      ),
    ],
    [
      'a role of the old keys',
      'E_THRESHOLD',
      file(inFile(good), await role(2, OLD, delegating(NEW))),
    ],
    ['cut short', 'E_JSON', file(inFile(good)).subarray(0, 900)],
    ['something else', 'E_SCHEMA', utf8('{"schema":"ironport.resigned-role/v1"}')],
  ];
  for (const [name, code, bytes] of refused)
    t.match(await handIn(it, targets, bytes), { error: { code } }, name);
  t.match(await handIn(it, file(inFile(good))), { error: { code: 'E_THRESHOLD' } }, 'alone');
  const both2 = [file(inFile(good)), file(inFile(good))];
  t.match(await handIn(it, targets, ...both2), { error: { code: 'E_USAGE' } }, 'twice');
  t.equal((await it.repository.current.need()).snapshot.version, before, 'nothing was published');
  t.match(await handIn(it, targets, file(inFile(good))), { state: 'published' });
});

t.test('a role whose bins keep the old keys is taken, and it is said', async (t) => {
  const { it, role, targets } = await scene(t);
  const reply = await handIn(it, targets, await role(2, NEW, delegating(OLD)));
  t.equal(reply.state, 'published', JSON.stringify(reply.error));
  t.match(JSON.stringify(reply), /bins of acme may still be signed by keys that it has no more/);
});
