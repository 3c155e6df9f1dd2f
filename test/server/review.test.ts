/** What waits for reviewers: nothing of it is seen, and only their word lets it out. */

import { existsSync, readdirSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { saveReviewPolicy } from '../../server/storage/review-policy.ts';
import { Suspended } from '../../server/storage/suspended.ts';
import { reviewReply } from '../../shared/api/review.ts';
import { utf8 } from '../../shared/bytes.ts';
import { pae, parseEnvelope, writeEnvelope } from '../../shared/evidence/dsse.ts';
import { IN_TOTO_PAYLOAD_TYPE, PREDICATE_TYPES } from '../../shared/evidence/identifiers.ts';
import { buildStatement } from '../../shared/evidence/statement.ts';
import { jsonObject } from '../../shared/json/value.ts';
import { api, data } from '../../shared/layout.ts';
import { REVIEW_LIMITS, SERVER_LIMITS } from '../../shared/limits.ts';
import { DAY } from '../../shared/time.ts';
import { testKey } from '../support/keys.ts';
import { sha256, signedRole, signedTargets, testVendor } from '../support/repository.ts';
import {
  ANNA,
  approve,
  artifactOf,
  BORIS,
  bring,
  CLARA,
  decide,
  handIn,
  nameReviewers,
  owner,
  reject,
  reviewing,
  shown,
  statement,
} from './reviewing.ts';
import { Caller, call, codeOf, type Running } from './support.ts';

const versionOf = async (it: Running): Promise<number> =>
  (await it.repository.current.need()).version('acme');

t.test(
  'waits embargoed, is shown to whom it concerns, and is published when approved',
  async (t) => {
    const it = await reviewing(t);
    const artifact = await artifactOf(it);
    const first = await handIn(it, 1, [artifact]);
    t.match(first, {
      state: 'in-review',
      review: {
        approved_by: 0,
        needed: 1,
        reasons: ['acme published nothing before', /first of its product/],
      },
    });
    t.ok(first.verdicts.every(({ ok }) => ok));
    t.match(first.verdicts.at(-1), { check: 'review', detail: /^waits: acme published nothing/ });
    const { id } = first;
    t.match(await it.caller.ended(id), { state: 'in-review' }, 'nobody waits for it in vain');
    t.equal(it.repository.queue.inReview(), 1);
    t.equal(it.repository.queue.waiting().count, 0, 'it holds nobody up');
    await it.repository.worker.drain();
    t.equal(await versionOf(it), 0, 'not published');
    t.notOk(existsSync(join(it.home, 'tree', 'targets', 'acme')), 'nothing of it in the tree');

    const review = await shown(it, id);
    t.equal(review.files.length, 6, 'the role, the artifact, four sidecars');
    t.match(review.ceilings, [{ against: null, changes: [{ effect: 'wider', text: /^for: / }] }]);
    for (const { path, sha256: digest, length } of review.files) {
      const { body } = await owner(it, api.reviewFile(id, digest));
      t.equal(sha256(body), digest, path);
      t.equal(body.length, length, path);
    }
    for (const path of [
      api.reviews,
      api.review(id),
      api.reviewFile(id, review.files[1]?.sha256 ?? ''),
    ]) {
      t.equal(codeOf(await call(it.service.url, 'GET', path)), 'E_UNAUTHENTICATED', path);
      const headers = { authorization: 'Bearer guessed' };
      t.equal(codeOf(await call(it.service.url, 'GET', path, headers)), 'E_UNAUTHENTICATED', path);
    }
    t.equal(codeOf(await owner(it, api.reviewFile(id, '0'.repeat(64)))), 'E_NOT_FOUND');

    t.equal(await approve(it, id, ANNA), 'published');
    t.equal(await versionOf(it), 1);
    t.match(await it.caller.ended(id), { state: 'published', review: { approved_by: 1 } });
    t.match((await shown(it, id)).statements, [{ keyid: ANNA.keyid, result: 'approved' }]);
    t.strictSame(readdirSync(join(it.home, data.quarantine, 'acme')), [], 'nothing is left');
    const renewed = await it.caller.submit('acme', await signedRole(it.acme, 2, [artifact]));
    t.equal(renewed.state, 'published', 'what brings no bytes waits for nobody');
    t.strictSame(it.failures, []);
  },
);

t.test('whose word does not count', async (t) => {
  const it = await reviewing(t, 1, 'all', [ANNA, testKey('acme evidence')]);
  const { id } = await handIn(it, 1, [await artifactOf(it)]);
  for (const [who, key] of [
    ['a stranger', CLARA],
    ['the vendor, as it signs its role', it.acme.tuf[0]],
    ['the vendor, as it signs requests', it.acme.api],
    ['the vendor, as it signs evidence, named a reviewer by mistake', it.acme.evidence],
    ['the operators', it.operators.targets[0]],
  ] as const)
    t.equal(await approve(it, id, key ?? CLARA), 'E_NOT_AUTHORISED', who);
  t.equal((await shown(it, id)).statements.length, 0, 'nothing of it is kept');
  t.equal(await versionOf(it), 0);
  t.equal(await reject(it, id, CLARA), 'E_NOT_AUTHORISED', 'nor does a stranger reject');

  const online = await reviewing(t, 1, 'all', [ANNA]);
  await nameReviewers(online, 3, online.operators.snapshot, 1);
  const waits = await handIn(online, 1, [await artifactOf(online)]);
  const service = online.operators.snapshot.slice(0, 1);
  const said = await statement(online, waits.id, service);
  t.equal(await decide(online, waits.id, said), 'E_NOT_AUTHORISED', 'the service itself');
  t.equal(await approve(online, waits.id, ANNA), 'E_NOT_AUTHORISED', 'who was one before');
});

t.test('two must agree', async (t) => {
  const it = await reviewing(t, 2);
  const { id } = await handIn(it, 1, [await artifactOf(it)]);
  t.equal(await approve(it, id, ANNA), 'in-review');
  t.equal(await approve(it, id, ANNA), 'E_NOTHING_TO_DO', 'once a key');
  t.equal(await approve(it, id, ANNA, ANNA), 'E_NOTHING_TO_DO');
  // The same key under two ids: an id is a hint that nobody signed.
  const { payloadType, payload } = parseEnvelope(await statement(it, id, [ANNA]));
  const sig = ANNA.signNow(pae(payloadType, payload));
  const twice = writeEnvelope({
    payloadType,
    payload,
    signatures: [
      { keyid: ANNA.keyid, sig },
      { keyid: BORIS.keyid, sig },
      { keyid: 'f'.repeat(64), sig },
    ],
  });
  t.equal(await decide(it, id, twice), 'E_NOTHING_TO_DO', 'the same key under other ids');
  t.match(await shown(it, id), { state: 'in-review', approved_by: 1, needed: 2 });
  const both = await statement(it, id, [ANNA, BORIS]);
  t.equal(await decide(it, id, both), 'published', 'the other one, who signed the same');
  t.equal(await approve(it, id, BORIS), 'E_CONFLICT', 'it is decided');
  t.equal(await reject(it, id, BORIS), 'E_CONFLICT', 'and published');
  t.equal(await versionOf(it), 1);
});

t.test('two at once, and again and again', async (t) => {
  const it = await reviewing(t, 2);
  const { id } = await handIn(it, 1, [await artifactOf(it)]);
  const said = await Promise.all(
    [ANNA, BORIS, ANNA, BORIS, ANNA].map((who) => statement(it, id, [who])),
  );
  const ends = await Promise.all(said.map((bytes) => decide(it, id, bytes)));
  t.ok(ends.includes('published'), ends.join(' '));
  t.ok(
    ends.every((end) => ['published', 'in-review', 'E_NOTHING_TO_DO', 'E_CONFLICT'].includes(end)),
  );
  t.match(await shown(it, id), { state: 'published', approved_by: 2 });
  t.equal((await shown(it, id)).statements.length, 2);
  t.equal(await versionOf(it), 1);
  t.strictSame(it.failures, []);
});

t.test('a rejection is final, and its reason reaches the vendor', async (t) => {
  const it = await reviewing(t, 2);
  const { id } = await handIn(it, 1, [await artifactOf(it)]);
  t.equal(await approve(it, id, ANNA), 'in-review');
  t.equal(await reject(it, id, ANNA, 'BAR 2 is not needed'), 'refused', 'also who approved before');
  t.match(await it.caller.ended(id), {
    state: 'refused',
    error: { code: 'E_REVIEW', why: 'BAR 2 is not needed' },
  });
  t.equal(await approve(it, id, BORIS), 'E_CONFLICT');
  t.match(await shown(it, id), { statements: [{}, {}], error: { code: 'E_REVIEW' } });
  // Many refusals later it is still there, for whoever asks what people decided.
  for (let n = 0; n < 3; n++) await it.caller.submit('acme', await signedRole(it.acme, 7, []));
  t.match(await it.caller.ended(id), { state: 'refused' });
  t.equal(await versionOf(it), 0);
});

t.test('statements about something else, or none', async (t) => {
  const it = await reviewing(t);
  const artifact = await artifactOf(it);
  const { id } = await handIn(it, 1, [artifact]);
  const again = await handIn(it, 1, [artifact]);
  const { files } = await shown(it, id);
  const other = files.map((file, i) => (i === 1 ? { ...file, sha256: 'ab'.repeat(32) } : file));
  const more = [...files, { path: 'acme/edu/9/x', sha256: 'cd'.repeat(32) }];
  const cases: readonly [string, Uint8Array, string][] = [
    ['over another digest', await statement(it, id, [ANNA], {}, { files: other }), 'E_EVIDENCE'],
    ['over fewer', await statement(it, id, [ANNA], {}, { files: files.slice(1) }), 'E_EVIDENCE'],
    ['over more', await statement(it, id, [ANNA], {}, { files: more }), 'E_EVIDENCE'],
    [
      'for another submission of the same bytes',
      await statement(it, again.id, [ANNA]),
      'E_EVIDENCE',
    ],
    ['truncated', (await statement(it, id, [ANNA])).slice(0, -20), 'E_JSON'],
    ['empty', new Uint8Array(), 'E_JSON'],
    ['deep', utf8(`${'['.repeat(5000)}`), 'E_JSON'],
    ['no envelope', utf8('{}'), 'E_SCHEMA'],
    ['huge', new Uint8Array(REVIEW_LIMITS.statement + 1), 'E_TOO_LARGE'],
    [
      'a field twice',
      utf8('{"payload":"","payload":"","payloadType":"x","signatures":[]}'),
      'E_JSON',
    ],
    ['no signature', bent(await statement(it, id, [ANNA]), { signatures: [] }), 'E_SCHEMA'],
    [
      'more signatures than are tried',
      bent(await statement(it, id, [ANNA]), {
        signatures: Array.from({ length: 65 }, () => ({ sig: 'AAAA' })),
      }),
      'E_SCHEMA',
    ],
    ['another type', await signed(PREDICATE_TYPES.testResult, { result: 'PASSED' }), 'E_EVIDENCE'],
    ['neither yes nor no', await signed(PREDICATE_TYPES.review, { result: 'maybe' }), 'E_SCHEMA'],
    [
      'of no submission',
      await signed(PREDICATE_TYPES.review, { result: 'approved' }),
      'E_EVIDENCE',
    ],
    [
      'a rejection without a reason',
      await signed(PREDICATE_TYPES.review, { result: 'rejected', submission: id }),
      'E_SCHEMA',
    ],
    [
      'a reason that moves the cursor',
      await signed(PREDICATE_TYPES.review, {
        ...{ result: 'rejected', submission: id, comment: 'no\u001b[2Jnow' },
      }),
      'E_SCHEMA',
    ],
    [
      'a reason that nobody reads to its end',
      await signed(PREDICATE_TYPES.review, {
        ...{ result: 'rejected', submission: id, comment: 'x'.repeat(REVIEW_LIMITS.reason + 1) },
      }),
      'E_SCHEMA',
    ],
  ];
  async function signed(predicateType: string, predicate: Record<string, string>) {
    const payload = buildStatement({
      subjects: files,
      predicateType,
      predicate: jsonObject(Object.entries(predicate)),
    });
    const sig = ANNA.signNow(pae(IN_TOTO_PAYLOAD_TYPE, payload));
    return writeEnvelope({ payloadType: IN_TOTO_PAYLOAD_TYPE, payload, signatures: [{ sig }] });
  }
  for (const [what, bytes, code] of cases) t.equal(await decide(it, id, bytes), code, what);
  t.match(await shown(it, id), { state: 'in-review', statements: [] });
  const unknown = 'f'.repeat(32);
  t.equal(await decide(it, unknown, await statement(it, id, [ANNA])), 'E_NOT_FOUND');
  t.strictSame(it.failures, []);
});

function bent(bytes: Uint8Array, change: object): Uint8Array {
  return utf8(JSON.stringify({ ...JSON.parse(Buffer.from(bytes).toString('utf8')), ...change }));
}

t.test('a role that moved on while another waits', async (t) => {
  const it = await reviewing(t);
  const [one, two] = [await artifactOf(it), await artifactOf(it, '2.0.0')];
  const waits = await handIn(it, 1, [one]);
  const empty = await it.caller.submit('acme', await signedRole(it.acme, 1, []));
  t.equal(empty.state, 'published', 'what brings nothing passes by');
  const answer = await bring(it, waits.id, await statement(it, waits.id, [ANNA]));
  const reply = JSON.parse(answer.body.toString('utf8'));
  t.match(reply, { state: 'refused', error: { code: 'E_CONFLICT', context: { current: 1 } } });
  t.match(await it.caller.ended(waits.id), { state: 'refused' });

  const [a, b] = [await handIn(it, 2, [one]), await handIn(it, 2, [one, two])];
  const ends = await Promise.all([approve(it, a.id, ANNA), approve(it, b.id, ANNA)]);
  t.strictSame(ends.sort(), ['published', 'refused'], 'two of one version: one of them');
  t.equal(await versionOf(it), 2);
});

t.test('a vendor that is suspended while it waits, and bytes that are lost', async (t) => {
  const it = await reviewing(t);
  const [one, two] = [await artifactOf(it), await artifactOf(it, '2.0.0')];
  const waits = await handIn(it, 1, [one]);
  const suspended = new Suspended(it.home);
  await suspended.add('acme');
  t.equal(await approve(it, waits.id, ANNA), 'refused', 'an approval lifts no suspension');
  await suspended.lift('acme');
  t.match(await it.caller.ended(waits.id), { error: { code: 'E_NOT_AUTHORISED' } });

  // What was looked at is gone from the disk: it is not published without it.
  const next = await handIn(it, 1, [two]);
  const said = await statement(it, next.id, [ANNA]);
  const file = (await shown(it, next.id)).files[1];
  await rm(join(it.home, data.blob('acme', file?.sha256 ?? '')));
  t.equal(codeOf(await owner(it, api.reviewFile(next.id, file?.sha256 ?? ''))), 'E_IO');
  t.equal(await decide(it, next.id, said), 'refused');
  t.equal(await versionOf(it), 0);
  t.strictSame([...new Set(it.failures.map(({ code }) => code))], ['E_IO'], 'and it is reported');
});

t.test('reviewers that are exchanged, or none', async (t) => {
  const it = await reviewing(t, 2);
  const { id } = await handIn(it, 1, [await artifactOf(it)]);
  t.equal(await approve(it, id, ANNA), 'in-review');
  await nameReviewers(it, 3, [BORIS, CLARA], 2);
  t.match(await shown(it, id), { approved_by: 0 }, 'who is no reviewer any more does not count');
  t.equal(await approve(it, id, BORIS), 'in-review');
  t.equal(await approve(it, id, CLARA), 'published');

  const next = await handIn(it, 2, [await artifactOf(it), await artifactOf(it, '2.0.0')]);
  // Approved, and before it is published the reviewers are others.
  const { desk } = it.repository;
  t.equal((await desk.find(next.id)).state, 'in-review');
  await desk.decide(next.id, await statement(it, next.id, [BORIS]));
  await desk.decide(next.id, await statement(it, next.id, [CLARA]));
  t.equal((await desk.find(next.id)).state, 'queued');
  await nameReviewersUnseen(it);
  await it.repository.worker.drain();
  t.match(await it.caller.ended(next.id), { state: 'refused', error: { code: 'E_REVIEW' } });

  const none = await reviewing(t, 1);
  const waits = await handIn(none, 1, [await artifactOf(none)]);
  const { intake, worker } = none.repository;
  await intake.submitOperatorFiles([await signedTargets(none.operators, 3, [none.acme])], false);
  await worker.drain();
  t.equal(await approve(none, waits.id, ANNA), 'E_NOT_AUTHORISED');
  t.match(await none.caller.ended(waits.id), { state: 'in-review', review: { needed: null } });
});

/** Operators' files go after the vendors' that came before; here they come as if they were first. */
async function nameReviewersUnseen(it: Running): Promise<void> {
  const { queue } = it.repository;
  const next = queue.nextOfVendors.bind(queue);
  queue.nextOfVendors = () => [];
  await nameReviewers(it, 4, [ANNA, BORIS], 2);
  queue.nextOfVendors = next;
}

t.test('a restart, and time', async (t) => {
  const before = await reviewing(t, 2);
  const one = await artifactOf(before);
  const { id } = await handIn(before, 1, [one]);
  t.equal(await approve(before, id, ANNA), 'in-review');
  const it = await before.restart();
  t.match(await shown(it, id), { state: 'in-review', approved_by: 1 });
  // Longer than anything else stays in quarantine.
  it.clock.now += SERVER_LIMITS.quarantineSeconds + DAY;
  await it.repository.worker.tick();
  await it.repository.worker.tick();
  t.equal(await approve(it, id, BORIS), 'published', 'its bytes were kept');

  const two = await artifactOf(it, '2.0.0');
  const late = await handIn(it, 2, [one, two]);
  it.clock.now += REVIEW_LIMITS.seconds + 1;
  await it.repository.worker.tick();
  t.match(await it.caller.ended(late.id), {
    state: 'refused',
    error: { code: 'E_REVIEW', context: { reason: 'time' } },
  });
  t.equal(await approve(it, late.id, ANNA), 'E_CONFLICT', 'too late');
  t.strictSame(readdirSync(join(it.home, data.quarantine, 'acme')), [], 'its bytes are gone');
});

t.test('how much may wait', async (t) => {
  const it = await reviewing(t);
  const artifacts = await Promise.all(
    Array.from({ length: REVIEW_LIMITS.waiting + 1 }, (_, n) => artifactOf(it, `1.0.${n}`)),
  );
  for (const artifact of artifacts.slice(0, -1))
    t.equal((await handIn(it, 1, [artifact])).state, 'in-review');
  const last = artifacts.slice(-1);
  await it.caller.uploadAll(last);
  await t.rejects(
    it.caller.submitOnly('acme', await signedRole(it.acme, 1, last)),
    /429.*E_QUOTA/s,
  );
  t.equal((await it.caller.submit('acme', await signedRole(it.acme, 1, []))).state, 'published');

  const many = await reviewing(t);
  const bunch = await Promise.all(
    Array.from({ length: REVIEW_LIMITS.artifacts + 1 }, (_, n) => artifactOf(many, `1.0.${n}`)),
  );
  t.match(await handIn(many, 1, bunch), {
    state: 'refused',
    error: { code: 'E_TOO_LARGE', hint: /smaller parts/ },
  });
});

t.test('what another vendor waits with is neither seen nor used', async (t) => {
  const it = await reviewing(t);
  const globex = testVendor('globex', { hardwareIds: ['PCI:0x5678'] });
  const artifact = await artifactOf(it);
  const { id } = await handIn(it, 1, [artifact]);
  const other = new Caller(it.service.url, globex.api, it.clock);
  const { intake, worker } = it.repository;
  const targets = await signedTargets(it.operators, 3, [it.acme, globex]);
  await intake.submitOperatorFiles([targets], false);
  await worker.drain();
  for (const [digest] of artifact.blobs)
    t.equal((await other.send('HEAD', api.blob(digest))).status, 404, 'not revealed');
  t.equal(codeOf(await other.send('GET', api.submission(id))), 'E_NOT_FOUND');
  t.equal((await other.send('HEAD', api.blob('0'.repeat(64)))).status, 404, 'as if it never was');
});

t.test('which submissions wait', async (t) => {
  const it = await reviewing(t, 1, 'first');
  const [one, two] = [await artifactOf(it), await artifactOf(it, '2.0.0')];
  const first = await handIn(it, 1, [one]);
  t.equal(first.state, 'in-review');
  t.equal(await approve(it, first.id, ANNA), 'published');
  t.equal((await handIn(it, 2, [one, two])).state, 'queued', 'its second does not');
  await it.repository.worker.drain();
  t.equal(await versionOf(it), 2);

  await saveReviewPolicy(it.home, 'off');
  const three = await artifactOf(it, '3.0.0');
  t.equal((await handIn(it, 3, [one, two, three])).state, 'queued');
  await it.repository.worker.drain();

  // A setting that cannot be read is no leave to publish.
  const four = [one, two, three, await artifactOf(it, '4.0.0')];
  await it.caller.uploadAll(four.slice(3));
  for (const text of ['', '{}', '{"schema":"ironport.review-policy/v1","require":"none"}']) {
    await writeFile(join(it.home, data.reviewPolicy), text);
    await t.rejects(it.caller.submitOnly('acme', await signedRole(it.acme, 4, four)), text);
  }
  t.equal(await versionOf(it), 3);
});

t.test('a review reply is what it is documented to be', async (t) => {
  const it = await reviewing(t);
  const { id } = await handIn(it, 1, [await artifactOf(it)]);
  const { body } = await owner(it, `${api.reviews}?all`);
  t.match(JSON.parse(body.toString('utf8')), { require: 'all', reviews: [{ id, vendor: 'acme' }] });
  t.ok(reviewReply.safeParse(await shown(it, id)).success);
});
