/** A list of revocations that lacks signatures of the team: what may wait, and when it ends. */

import t from 'tap';
import { nextList, signList } from '../../server/ceremony/revocations.ts';
import { type DraftReply, draftReply } from '../../shared/api/pending.ts';
import { OPERATOR_FILES_SCHEMA } from '../../shared/api/upload.ts';
import { fromBase64, toBase64, utf8 } from '../../shared/bytes.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { writeEnvelope } from '../../shared/evidence/dsse.ts';
import { IN_TOTO_PAYLOAD_TYPE } from '../../shared/evidence/identifiers.ts';
import { api, revocations as place } from '../../shared/layout.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import type { RevocationList } from '../../shared/revocation/list.ts';
import { listStanding, readList } from '../../shared/revocation/signed-list.ts';
import { DAY } from '../../shared/time.ts';
import { TODAY } from '../support/clock.ts';
import { testKey } from '../support/keys.ts';
import { signList as signFreely, TEAM, TRUST, testList } from '../support/revocations.ts';
import { type Answer, call, codeOf, type Running, running } from './support.ts';
import { listing, submit, teamTargets, withTeam } from './team.ts';

const [s1, s2, s3] = Array.from(TEAM, (key): Signer => key) as [Signer, Signer, Signer];

function bring(it: Running, ...files: Uint8Array[]): Promise<Answer> {
  const body = utf8(JSON.stringify({ schema: OPERATOR_FILES_SCHEMA, files: files.map(toBase64) }));
  const headers = { 'content-type': 'application/json' };
  return call(it.service.url, 'POST', api.operatorDrafts, headers, body);
}

function draftOf(answer: Answer): DraftReply {
  return draftReply.parse(JSON.parse(answer.body.toString('utf8')));
}

const found = async (it: Running, id: string): Promise<DraftReply> =>
  draftOf(await call(it.service.url, 'GET', api.operatorDraft(id)));

/** The list that waits under an id, as anybody can fetch it. */
async function heldOf(it: Running, id: string): Promise<Uint8Array> {
  const [bytes] = (await found(it, id)).contents ?? [];
  return fromBase64(bytes ?? '') as Uint8Array;
}

const floor = (list: RevocationList, generation: number, reason = 'CVE-2030-0001') =>
  nextList(list, [{ kind: 'floor', component: 'acme/edu', generation }], reason, TODAY);

/** The list, with one signature after the other, as members of the team make them. */
const signed = (list: RevocationList, ...signers: Signer[]): Promise<Uint8Array> =>
  signList(crypto, list, TRUST, signers);

const counts = ({ files }: DraftReply) =>
  files[0]?.signatures.map(({ have, need }) => [have, need]);

t.test('a list grows by signatures, waits whole for its role, and ends as published', async (t) => {
  const it = await withTeam(t);
  const next = floor(testList(1), 3);
  const first = await bring(it, await signed(next, s1));
  t.equal(first.status, 202, first.body.toString());
  const { id } = draftOf(first);
  t.match(draftOf(first), {
    state: 'open',
    files: [{ role: place.list, version: 2, expires: null, signed_by: { length: 1 } }],
  });
  t.strictSame(counts(draftOf(first)), [
    [1, 2],
    [0, 1],
  ]);
  t.strictSame(
    counts(draftOf(await bring(it, await signed(next, s1)))),
    [
      [1, 2],
      [0, 1],
    ],
    'again',
  );

  const second = draftOf(await bring(it, await signed(next, s3)));
  t.equal(second.id, id, 'the same change, whoever brings it');
  t.match([second.state, second.submission], ['open', null], 'nothing publishes it by itself');
  t.strictSame(counts(second), [
    [2, 2],
    [0, 1],
  ]);
  const whole = await heldOf(it, id);
  t.equal(listStanding(crypto, whole, TRUST), 2);

  const third = draftOf(await bring(it, await signed(next, s2)));
  t.equal(third.id, id);
  t.strictSame(await heldOf(it, id), whole, 'what may be listed already is altered no more');

  t.equal(await submit(it, whole, await listing(whole, 2)), 'revocations');
  t.match(await found(it, id), { state: 'published', submission: null, error: null });
  t.notOk((await found(it, id)).contents);
  const late = draftOf(await bring(it, await signed(next, s2)));
  t.match(late, { id, state: 'published' });
  const again = await it.restart();
  t.match(await found(again, id), { state: 'published' });
  t.strictSame(it.failures, []);
});

t.test('what no signature of the team can help does not wait', async (t) => {
  const it = await withTeam(t);
  const second = await signed(floor(testList(1), 3), s1, s2);
  t.equal(await submit(it, second, await listing(second, 2)), 'revocations');
  const standing = readList(second).list;
  const next = floor(standing, 4);
  const half = await signed(next, s1);
  const { envelope } = readList(half);
  const [mine] = envelope.signatures;
  const written = (payload: Uint8Array, ...signatures: object[]): Uint8Array =>
    writeEnvelope({ payloadType: IN_TOTO_PAYLOAD_TYPE, payload, signatures: signatures as never });
  const stranger = testKey('stranger');
  const byStranger = await signFreely(next, { signers: [stranger] });
  const [theirs] = readList(byStranger).envelope.signatures;
  const otherTeam = { ...TRUST, keys: [...TRUST.keys, stranger.key] };
  const lowered = { ...next, floors: new Map([['acme/edu', { generation: 2, reason: 'x' }]]) };
  const cases: [string, string, Uint8Array][] = [
    ['by a stranger', 'E_NOT_AUTHORISED', byStranger],
    [
      'by one of the team and a stranger',
      'E_NOT_AUTHORISED',
      written(envelope.payload, mine as object, theirs as object),
    ],
    [
      'by the renewal key',
      'E_NOT_AUTHORISED',
      await signFreely(next, { signers: [testKey('renewal')] }),
    ],
    [
      'with the signature of another list',
      'E_SIGNATURE',
      written(readList(await signed(floor(standing, 5), s1)).envelope.payload, mine as object),
    ],
    [
      'with a signature that names no key',
      'E_NOT_AUTHORISED',
      written(envelope.payload, mine as object, { sig: new Uint8Array(64) }),
    ],
    [
      'of the version that stands',
      'E_CONFLICT',
      await signed(testList(2, { issued: TODAY - 1, floors: standing.floors }), s1),
    ],
    ['that stands', 'E_CONFLICT', await signed(standing, s1)],
    ['of an older version', 'E_CONFLICT', await signed(testList(1), s1)],
    ['that takes back a floor', 'E_ROLLBACK', await signed(lowered, s1)],
    ['of another epoch', 'E_REVOCATIONS', await signed({ ...next, epoch: 2 }, s1)],
    [
      'made under another team',
      'E_REVOCATIONS',
      await signFreely(next, { trust: otherTeam, signers: TEAM.slice(0, 1) }),
    ],
    [
      'not in its one form',
      'E_REVOCATIONS',
      await signFreely(next, {
        payload: utf8(` ${Buffer.from(envelope.payload).toString()}`),
        signers: TEAM.slice(0, 1),
      }),
    ],
    ['that is no list', 'E_REVOCATIONS', utf8('{"payloadType":"x"}')],
    ['with a beginning alone', 'E_JSON', half.subarray(0, 100)],
  ];
  for (const [name, code, bytes] of cases) t.equal(codeOf(await bring(it, bytes)), code, name);
  const role = await listing(half, 3);
  t.equal(codeOf(await bring(it, half, role)), 'E_USAGE', 'with a role that lists half a list');
  const many = written(envelope.payload, ...Array.from({ length: 60 }, () => mine as object));
  t.equal((await bring(it, many)).status, 202, 'one signature sixty times is one');
  const { drafts } = await it.repository.pending.list(undefined).then((drafts) => ({ drafts }));
  t.strictSame(
    drafts.map(counts),
    [
      [
        [1, 2],
        [0, 1],
      ],
    ],
    'and nothing else waits',
  );
});

t.test('a list waits no longer when it can no longer hold', async (t) => {
  const it = await withTeam(t);
  const mine = draftOf(await bring(it, await signed(floor(testList(1), 3), s1)));
  const other = await signed(floor(testList(1), 4), s1, s2);
  t.equal(await submit(it, other, await listing(other, 2)), 'revocations');
  t.match(await found(it, mine.id), { state: 'stale', error: { code: 'E_CONFLICT' } }, 'overtaken');

  const next = draftOf(await bring(it, await signed(floor(readList(other).list, 5), s1)));
  const skipped = { ...floor(readList(other).list, 6), version: 9 };
  const far = draftOf(await bring(it, await signed(skipped, s1)));
  t.match([next.state, far.state], ['open', 'open'], 'versions may be skipped');
  const team = { ...TRUST, epoch: 2, keys: TRUST.keys.slice(0, 2) };
  const begun = await signList(crypto, { ...testList(1), epoch: 2 }, team, [s1, s2]);
  const files = [await teamTargets(it, 3, team), begun, await listing(begun, 3)];
  t.equal(await submit(it, ...files), 'targets and revocations');
  t.match(await found(it, next.id), { state: 'stale', error: { code: 'E_REVOCATIONS' } });

  const last = draftOf(
    await bring(it, await signList(crypto, floor({ ...testList(1), epoch: 2 }, 2), team, [s1])),
  );
  it.clock.now += 15 * DAY;
  t.match(await found(it, last.id), { state: 'expired' });
});

t.test('without a team there is nobody to wait for', async (t) => {
  const it = await running(t);
  t.equal(codeOf(await bring(it, await signed(testList(1), s1))), 'E_POLICY');
});
