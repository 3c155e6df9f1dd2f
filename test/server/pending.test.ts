/** Changes that wait at the service for signatures: by whom, over what, how many, and for how long. */

import { statSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Drafts } from '../../server/db/drafts.ts';
import { openDatabase } from '../../server/db/open.ts';
import {
  DRAFT_ROLE_SCHEMA,
  type DraftFile,
  type DraftReply,
  draftReply,
} from '../../shared/api/pending.ts';
import { OPERATOR_FILES_SCHEMA } from '../../shared/api/upload.ts';
import { toBase64, utf8 } from '../../shared/bytes.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { api, data } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { DAY } from '../../shared/time.ts';
import { formatMetadata, rootTree, sign } from '../../shared/tuf/build.ts';
import { parseEnvelope } from '../../shared/tuf/envelope.ts';
import { testKey } from '../support/keys.ts';
import {
  signedRole,
  signedRoot,
  signedTargets,
  testArtifact,
  testVendor,
} from '../support/repository.ts';
import { type Answer, Caller, call, codeOf, type Running, running } from './support.ts';

function bring(it: Running, ...files: Uint8Array[]): Promise<Answer> {
  const body = utf8(JSON.stringify({ schema: OPERATOR_FILES_SCHEMA, files: files.map(toBase64) }));
  const headers = { 'content-type': 'application/json' };
  return call(it.service.url, 'POST', api.operatorDrafts, headers, body);
}

function draftOf(answer: Answer): DraftReply {
  return draftReply.parse(JSON.parse(answer.body.toString('utf8')));
}

async function found(it: Running, id: string): Promise<DraftReply> {
  return draftOf(await call(it.service.url, 'GET', api.operatorDraft(id)));
}

async function open(it: Running): Promise<number> {
  const { body } = await call(it.service.url, 'GET', api.operatorDrafts);
  const { drafts } = JSON.parse(body.toString('utf8')) as { drafts: DraftReply[] };
  return drafts.filter(({ state }) => state === 'open').length;
}

/** The end of what a draft became. */
async function ended(it: Running, id: string): Promise<DraftReply> {
  const { submission } = await found(it, id);
  await call(it.service.url, 'GET', `${api.submission(submission ?? '')}?wait=20`);
  return await found(it, id);
}

function signersOf(keys: readonly Signer[]): [Signer, Signer, Signer] {
  return [...keys] as [Signer, Signer, Signer];
}

const root2 = (it: Running, signers: readonly Signer[], days = 300): Promise<Uint8Array> =>
  signedRoot(it.operators, 2, { signers, expires: it.clock.now + days * DAY });

t.test('a change waits, grows by signatures, and is published with the last one', async (t) => {
  const it = await running(t);
  const [r1, r2] = signersOf(it.operators.root);
  const first = await bring(it, await root2(it, [r1]));
  t.equal(first.status, 202);
  const draft = draftOf(first);
  t.equal(first.headers.location, api.operatorDraft(draft.id));
  t.match(draft, {
    state: 'open',
    submission: null,
    files: [{ role: 'root', version: 2, signed_by: [it.operators.root[0]?.keyid] }],
  });
  t.strictSame(
    draft.files[0]?.signatures.map(({ have, need }) => [have, need]),
    [
      [1, 2],
      [1, 2],
    ],
  );
  t.equal((await found(it, draft.id)).contents?.length, 1, 'it can be fetched');

  t.equal((await it.repository.current.need()).root.version, 1, 'nothing is published yet');
  const last = draftOf(await bring(it, await root2(it, [r2])));
  t.equal(last.id, draft.id);
  t.match(await ended(it, draft.id), { state: 'published' });
  t.equal((await it.repository.current.need()).root.version, 2);

  // Brought once more, also after a restart: the answer is what became of it.
  const again = await it.restart();
  const replayed = await bring(again, await root2(it, [r1, r2]));
  t.match(draftOf(replayed), { id: draft.id, state: 'published' });
  t.equal((await again.repository.current.need()).root.version, 2);
  t.strictSame(it.failures, []);
});

t.test('strangers leave nothing, and nothing that counts for nothing is kept', async (t) => {
  const it = await running(t);
  const [r1, r2] = signersOf(it.operators.root);
  const stranger = testKey('stranger');
  const own = { keys: [stranger.key], threshold: 1 };
  const online = (signers: readonly Signer[]) => ({
    keys: signers.map(({ key }) => key),
    threshold: 1,
  });
  const { snapshot, timestamp } = it.operators;
  const usurped = rootTree(platformCrypto, 2, it.clock.now + 90 * DAY, {
    ...{ root: own, targets: own },
    ...{ snapshot: online(snapshot), timestamp: online(timestamp) },
  });
  const refused: [string, string, Uint8Array][] = [
    ['by a stranger', 'E_NOT_AUTHORISED', await root2(it, [stranger])],
    ['by one who signed and a stranger', 'E_NOT_AUTHORISED', await root2(it, [r1, stranger])],
    ['by nobody', 'E_NOT_AUTHORISED', await root2(it, [])],
    [
      'by the keys that it names itself',
      'E_NOT_AUTHORISED',
      formatMetadata(usurped, await sign(platformCrypto, usurped, [stranger])),
    ],
    ['by an online key', 'E_NOT_AUTHORISED', await root2(it, snapshot)],
    [
      'with the signature of another change',
      'E_SIGNATURE',
      formatMetadata(
        parseEnvelope(await root2(it, [], 200), 1e6, 'root').tree,
        parseEnvelope(await root2(it, [r1]), 1e6, 'root').signatures,
      ),
    ],
    ['of the version that stands', 'E_CONFLICT', await signedRoot(it.operators, 1)],
    ['of a version too far', 'E_CONFLICT', await signedRoot(it.operators, 3, { signers: [r1] })],
    ['that lives too long', 'E_POLICY', await root2(it, [r1], 400)],
    ['that is no JSON', 'E_JSON', utf8('{')],
    ['that ends too early', 'E_JSON', (await root2(it, [r1])).subarray(0, 300)],
    ['a vendor’s role', 'E_USAGE', await signedRole(it.acme, 1, [])],
  ];
  for (const [name, code, bytes] of refused) t.equal(codeOf(await bring(it, bytes)), code, name);
  t.equal(await open(it), 0, 'nothing waits');

  const draft = draftOf(await bring(it, await root2(it, [r1])));
  t.equal(codeOf(await bring(it, await root2(it, [stranger]))), 'E_NOT_AUTHORISED');
  t.equal(codeOf(await bring(it, utf8(`${'['.repeat(5000)}`))), 'E_JSON', 'deep');
  const large = await bring(it, new Uint8Array(7 * 1024 * 1024));
  t.equal(codeOf(large), 'E_TOO_LARGE', 'huge');
  t.match((await found(it, draft.id)).files, [{ signed_by: { length: 1 } }], 'as it was');
  t.equal(draftOf(await bring(it, await root2(it, [r2]))).id, draft.id, 'and it goes on');
});

t.test('one key counts once, whatever it calls itself and however often it signs', async (t) => {
  const it = await running(t);
  const [r1, r2] = signersOf(it.operators.root);
  const tree = parseEnvelope(await root2(it, []), 1e6, 'root').tree;
  const [id] = (await sign(platformCrypto, tree, [r1])).keys();
  const alias = 'ff'.repeat(32);
  const { keys, roles } = JSON.parse(JSON.stringify(tree));
  keys[alias] = keys[id as string];
  roles.root.keyids = [alias, ...roles.root.keyids];
  const twice: JsonObject = { ...tree, keys, roles };
  const signatures = await sign(platformCrypto, twice, [r1]);
  const one = signatures.get(id as string) as string;
  const both = new Map([
    [alias, one],
    [id as string, one],
  ]);
  const draft = draftOf(await bring(it, formatMetadata(twice, both)));
  for (const again of [both, new Map([[alias, one]]), signatures]) {
    const { files, state } = draftOf(await bring(it, formatMetadata(twice, again)));
    t.equal(state, 'open');
    t.ok(
      files[0]?.signatures.every(({ have }) => have <= 1),
      'it counts once',
    );
  }
  const whole = formatMetadata(twice, await sign(platformCrypto, twice, [r2]));
  t.equal(draftOf(await bring(it, whole)).id, draft.id);
});

t.test('what another publication overtook says which version stands', async (t) => {
  const it = await running(t);
  const [r1, r2, r3] = signersOf(it.operators.root);
  const overtaken = draftOf(await bring(it, await root2(it, [r1], 200)));
  const other = draftOf(await bring(it, await root2(it, [r2], 250)));
  await bring(it, await root2(it, [r3], 250));
  t.match(await ended(it, other.id), { state: 'published' });
  t.match(await found(it, overtaken.id), {
    state: 'stale',
    error: { code: 'E_CONFLICT', context: { submitted: 2, current: 2 } },
  });
  t.notOk((await found(it, overtaken.id)).contents, 'its files are dropped');
  const late = await bring(it, await root2(it, [r2], 200));
  t.equal(codeOf(late), 'E_CONFLICT');
  t.match(JSON.parse(late.body.toString('utf8')).error.context, { submitted: 2, current: 2 });
});

t.test('two signers at once, and two last ones at once', async (t) => {
  const it = await running(t);
  const [r1, r2, r3] = signersOf(it.operators.root);
  const { id } = draftOf(await bring(it, await root2(it, [r1])));
  const answers = await Promise.all(
    [r2, r3, r2, r3].map(async (signer) => bring(it, await root2(it, [signer]))),
  );
  for (const answer of answers) t.equal(answer.status, 202, answer.body.toString('utf8'));
  t.equal(new Set(answers.map((answer) => draftOf(answer).submission)).size, 1, 'handed in once');
  t.match(await ended(it, id), { state: 'published' });
  t.equal((await it.repository.current.need()).root.version, 2);
});

t.test(
  'what stopped between the last signature and the queue is handed in at the start',
  async (t) => {
    const it = await running(t);
    const [r1, r2] = signersOf(it.operators.root);
    const { id } = draftOf(await bring(it, await root2(it, [r1])));
    await it.stop();
    const db = openDatabase(join(it.home, data.database));
    const drafts = new Drafts(db);
    const whole = await root2(it, [r1, r2]);
    drafts.hold({ id, vendor: null, opener: '', expires: it.clock.now + DAY }, it.clock.now, () => {
      const [file] = drafts.get(id)?.files ?? [];
      const signatures = file?.signatures.map((one) => ({ ...one, have: one.need })) ?? [];
      return { about: [{ ...(file as DraftFile), signatures }], files: [whole] };
    });
    db.close();
    const again = await it.restart();
    await again.repository.pending.resume();
    t.match(await ended(again, id), { state: 'published' });
    t.equal((await again.repository.current.need()).root.version, 2);
    t.strictSame(again.failures, []);
  },
);

t.test('what is brought once more, whoever brings it, costs no write', async (t) => {
  const it = await running(t);
  const [r1] = signersOf(it.operators.root);
  await bring(it, await root2(it, [r1]));
  const log = join(it.home, `${data.database}-wal`);
  const before = statSync(log).size;
  for (let i = 0; i < 50; i++) t.equal((await bring(it, await root2(it, [r1]))).status, 202);
  t.equal(statSync(log).size, before);
});

t.test('what one key begins is bounded, and runs out', async (t) => {
  const it = await running(t);
  const [r1, r2] = signersOf(it.operators.root);
  for (const days of [100, 101, 102, 103])
    t.equal((await bring(it, await root2(it, [r1], days))).status, 202);
  const fifth = await bring(it, await root2(it, [r1], 104));
  t.equal(fifth.status, 429);
  t.equal(codeOf(fifth), 'E_QUOTA');
  t.equal((await bring(it, await root2(it, [r2], 104))).status, 202, 'another key is not shut out');

  const { drafts } = JSON.parse(
    (await call(it.service.url, 'GET', api.operatorDrafts)).body.toString('utf8'),
  ) as { drafts: DraftReply[] };
  const id = drafts.at(-1)?.id as string;
  const drop = (headers = {}) => call(it.service.url, 'DELETE', api.operatorDraft(id), headers);
  t.equal(codeOf(await drop()), 'E_UNAUTHENTICATED');
  t.equal(codeOf(await drop({ authorization: 'Bearer x' })), 'E_UNAUTHENTICATED');
  t.match(await it.repository.pending.drop(id), { state: 'dropped' });
  t.equal((await bring(it, await root2(it, [r1], 105))).status, 202, 'there is room');

  it.clock.now += 14 * DAY;
  t.equal(await open(it), 0);
  t.match(await found(it, draftOf(await bring(it, await root2(it, [r1], 90))).id), {
    state: 'open',
  });
  t.equal(
    codeOf(await call(it.service.url, 'GET', api.operatorDraft('0'.repeat(32)))),
    'E_NOT_FOUND',
  );
});

t.test('root and targets together: nobody takes a part of it for the whole', async (t) => {
  const it = await running(t);
  const [r1, r2] = signersOf(it.operators.root);
  const fresh = { ...it.operators, targets: [testKey('targets 2')] };
  const root = (signers: readonly Signer[]) =>
    signedRoot(fresh, 2, { signers, expires: it.clock.now + 300 * DAY });
  const targets = (signers: readonly Signer[]) =>
    signedTargets(fresh, 2, [it.acme], { signers, expires: it.clock.now + 90 * DAY });
  const both = [...it.operators.targets, ...fresh.targets];
  const draft = draftOf(await bring(it, await targets([]), await root([r1])));
  t.match(
    draft.files.map(({ role }) => role),
    ['root', 'targets'],
  );
  // The file whose signatures are left out is not one that needs none.
  const stripped = draftOf(await bring(it, await root([r1, r2]), await targets([])));
  t.match(stripped, { id: draft.id, state: 'open' });
  const role = await signedRole(it.acme, 1, []);
  const other = draftOf(await bring(it, await root([r1, r2]), await targets([]), role));
  t.match(other, { state: 'open', files: [{}, {}, { role: 'beside' }] });
  t.not(other.id, draft.id);
  t.equal(draftOf(await bring(it, await root([]), await targets(both))).id, draft.id);
  t.match(await ended(it, draft.id), { state: 'published' });
  const { targets: standing } = await it.repository.current.need();
  t.equal(standing.version, 2);
  t.equal(standing.envelope.signatures.size, 2, 'by the old and by the new key');
});

/** What a vendor's folder sends. */
async function bringRole(caller: Caller, metadata: Uint8Array, role = 'acme'): Promise<Answer> {
  const document = { schema: DRAFT_ROLE_SCHEMA, role, metadata: toBase64(metadata) };
  return await caller.send('POST', api.drafts, utf8(JSON.stringify(document)));
}

async function vendorsTest(t: Test) {
  const it = await running(t);
  const artifact = await testArtifact(it.acme);
  await it.caller.uploadAll([artifact]);
  const role = (signers: readonly Signer[], change: object = {}) =>
    signedRole(it.acme, 1, [artifact], { signers, ...change });
  return { ...it, artifact, role };
}

t.test("a vendor's signers finish one another's work", async (t) => {
  const it = await vendorsTest(t);
  const [t1, t2] = signersOf(it.acme.tuf);
  const stranger = testKey('stranger');
  const refused: [string, string, Uint8Array][] = [
    ['by a stranger', 'E_NOT_AUTHORISED', await it.role([stranger])],
    ['by the API key', 'E_NOT_AUTHORISED', await it.role([it.acme.api])],
    ['by nobody', 'E_NOT_AUTHORISED', await it.role([])],
    ['too far', 'E_CONFLICT', await signedRole(it.acme, 2, [it.artifact], { signers: [t1] })],
    ['for too long', 'E_POLICY', await it.role([t1], { expires: it.clock.now + 92 * DAY })],
    [
      'with bytes that were not sent',
      'E_NOT_FOUND',
      await signedRole(it.acme, 1, [await testArtifact(it.acme, 'acme/edu/9.0.0/x')], {
        signers: [t1],
      }),
    ],
  ];
  for (const [name, code, bytes] of refused)
    t.equal(codeOf(await bringRole(it.caller, bytes)), code, name);
  const draft = draftOf(await bringRole(it.caller, await it.role([t1])));
  t.match(draft, { state: 'open', files: [{ role: 'acme', signatures: [{ have: 1, need: 2 }] }] });

  // To nobody else it is there: not to strangers, not with another key, not as the operators'.
  t.equal((await call(it.service.url, 'GET', api.draft(draft.id))).status, 401);
  t.equal((await call(it.service.url, 'GET', api.operatorDraft(draft.id))).status, 404);
  const wrong = new Caller(it.service.url, stranger, it.clock);
  t.equal(codeOf(await wrong.send('GET', api.drafts)), 'E_UNAUTHENTICATED');
  t.equal(codeOf(await bringRole(it.caller, await it.role([t1]), 'other')), 'E_NOT_AUTHORISED');

  const again = await it.restart();
  const last = draftOf(await bringRole(again.caller, await it.role([t2])));
  t.equal(last.id, draft.id);
  t.match(await again.caller.ended(last.submission ?? ''), { state: 'published' });
  t.match(draftOf(await again.caller.send('GET', api.draft(draft.id))), { state: 'published' });
});

t.test('a vendor is not shown another one’s, and a suspended one nothing', async (t) => {
  const it = await vendorsTest(t);
  const other = testVendor('other', { hardwareIds: ['PCI:0x5678'] });
  const targets = await signedTargets(it.operators, 2, [it.acme, other]);
  const { id } = await it.repository.intake.submitOperatorFiles([targets], false);
  await it.repository.worker.drain();
  t.match(it.repository.intake.find(id, undefined), { state: 'published' });
  const draft = draftOf(await bringRole(it.caller, await it.role(it.acme.tuf.slice(0, 1))));
  const caller = new Caller(it.service.url, other.api, it.clock);
  t.equal((await caller.send('GET', api.draft(draft.id))).status, 404);
  t.match(JSON.parse((await caller.send('GET', api.drafts)).body.toString('utf8')), { drafts: [] });
  t.equal(codeOf(await bringRole(caller, await it.role(it.acme.tuf), 'acme')), 'E_NOT_AUTHORISED');
});
