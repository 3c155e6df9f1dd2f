// The list itself: one form, closed, bounded, and nothing hostile gets past its reader.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { canonicalText } from '../../shared/json/canonical.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import { REVOCATION_LIMITS } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import {
  parseRevocationList,
  type RevocationList,
  revocationPredicate,
} from '../../shared/revocation/list.ts';
import { verifyList } from '../../shared/revocation/signed-list.ts';
import {
  parseRevocationTrust,
  type RevocationTrust,
  revocationTrustField,
} from '../../shared/tuf/revocation-trust.ts';
import { formatFloors, NO_FLOORS, parseFloors, raiseFloors } from '../../shared/verify/floors.ts';
import { TODAY } from '../support/clock.ts';
import { signList, TEAM, TRUST, testList } from '../support/revocations.ts';

const A = 'a'.repeat(64);
const B = 'b'.repeat(64);
const FULL: RevocationList = {
  epoch: 3,
  version: 7,
  issued: TODAY,
  floors: new Map([
    ['acme/edu', { generation: 2, reason: 'CVE-2030-0001' }],
    ['other/nic', { generation: 9, reason: 'a ring is not checked' }],
  ]),
  digests: new Map([[A, { reason: 'malware' }]]),
  keys: new Map([[B, { allowed: [A, B], reason: 'stolen' }]]),
};

const read = (value: unknown): RevocationList =>
  parseRevocationList(new Node(parseJson(utf8(JSON.stringify(value)), { length: 1e8 }), 'list'));
const plain = () => JSON.parse(JSON.stringify(revocationPredicate(FULL)));

t.test('what is written is read, whatever the order in which it was put together', async (t) => {
  t.strictSame(read(plain()), FULL);
  const backwards = { ...FULL, floors: new Map([...FULL.floors].reverse()) };
  t.equal(canonicalText(revocationPredicate(backwards)), canonicalText(revocationPredicate(FULL)));
});

t.test('hostile lists', async (t) => {
  const cases: [string, (list: ReturnType<typeof plain>) => void][] = [
    ['a field more', (list) => (list.note = 1)],
    ['a field less', (list) => delete list.denied_keys],
    ['an epoch of 0', (list) => (list.epoch = 0)],
    ['a version of 0', (list) => (list.version = 0)],
    ['a version where counting ends', (list) => (list.version = 2 ** 53 - 1)],
    ['a version that is text', (list) => (list.version = '7')],
    ['no time', (list) => (list.issued = 'today')],
    ['a floor of 0', (list) => (list.floors[0].generation = 0)],
    ['a floor where counting ends', (list) => (list.floors[0].generation = 2 ** 53 - 1)],
    ['a fraction', (list) => (list.floors[0].generation = 1.5)],
    ['a component that leaves', (list) => (list.floors[0].component = '../edu')],
    ['a component of one part', (list) => (list.floors[0].component = 'acme')],
    ['a component of three', (list) => (list.floors[0].component = 'acme/edu/1.0.0')],
    ['a pattern', (list) => (list.floors[0].component = 'acme/*')],
    ['a reserved vendor', (list) => (list.floors[0].component = 'targets/edu')],
    ['no reason', (list) => delete list.floors[0].reason],
    ['an empty reason', (list) => (list.floors[0].reason = '  ')],
    ['a reason of two lines', (list) => (list.floors[0].reason = 'a\nok')],
    ['a reason that steers a terminal', (list) => (list.denied_keys[0].reason = '\u001b[2J')],
    ['a reason without end', (list) => (list.floors[0].reason = 'x'.repeat(501))],
    ['floors out of order', (list) => list.floors.reverse()],
    ['a floor twice', (list) => list.floors.push(list.floors[1])],
    ['a digest in upper case', (list) => (list.denied_digests[0].sha256 = 'A'.repeat(64))],
    ['a short digest', (list) => (list.denied_digests[0].sha256 = 'a'.repeat(63))],
    ['a digest twice', (list) => list.denied_digests.push(list.denied_digests[0])],
    ['a key by half its id', (list) => (list.denied_keys[0].keyid = 'a'.repeat(32))],
    ['allowed out of order', (list) => list.denied_keys[0].allowed_sha256.reverse()],
    ['allowed everything', (list) => (list.denied_keys[0].allowed_sha256 = '*')],
    ['an object for a list', (list) => (list.denied_digests = {})],
    ['null for a list', (list) => (list.floors = null)],
  ];
  for (const [name, change] of cases) {
    const list = plain();
    change(list);
    t.throws(() => read(list), { code: /^E_(SCHEMA|NAME|JSON)$/ }, name);
  }
  const many = plain();
  many.denied_digests = Array.from({ length: REVOCATION_LIMITS.entries + 1 }, (_, i) => ({
    sha256: i.toString(16).padStart(64, '0'),
    reason: 'x',
  }));
  t.throws(() => read(many), { code: 'E_SCHEMA' }, 'one more than is read');
  many.denied_digests.pop();
  t.equal(read(many).digests.size, REVOCATION_LIMITS.entries);
  for (const value of [null, [], 'list', 1]) t.throws(() => read(value), { code: 'E_SCHEMA' });
});

t.test('a truncated, endless or oversized envelope', async (t) => {
  const bytes = await signList(testList(1));
  const refused = { code: 'E_REVOCATIONS', context: { reason: 'unreadable' } };
  for (const cut of [0, 1, bytes.length >> 1, bytes.length - 1])
    t.throws(() => verifyList(platformCrypto, bytes.subarray(0, cut), TRUST, undefined), refused);
  const large = new Uint8Array(REVOCATION_LIMITS.list + 1);
  t.throws(() => verifyList(platformCrypto, large, TRUST, undefined), refused);
  const everybody = Array.from({ length: 64 }, () => TEAM[0]) as never;
  const wide: RevocationTrust = { ...TRUST, keys: TRUST.keys };
  t.ok(
    verifyList(
      platformCrypto,
      await signList(testList(1), { signers: [...TEAM] }),
      wide,
      undefined,
    ),
  );
  t.throws(
    () => verifyList(platformCrypto, bytes, { ...TRUST, threshold: 3 }, undefined),
    { code: 'E_REVOCATIONS', context: { reason: 'threshold' } },
    'a threshold is that of the targets, not of the list',
  );
  const flood = await signList(testList(1), { signers: everybody });
  t.throws(() => verifyList(platformCrypto, flood, TRUST, undefined), {
    code: 'E_REVOCATIONS',
    context: { reason: 'threshold' },
  });
});

t.test('the team in the targets', async (t) => {
  const field = (value: unknown) =>
    parseRevocationTrust(
      new Node(
        parseJson(utf8(JSON.stringify({ 'x-ironport': { revocations: value } })), { length: 1e6 }),
        'targets',
      ),
    );
  const good = JSON.parse(JSON.stringify(revocationTrustField(TRUST)));
  t.strictSame(field(good), TRUST);
  const cases: [string, unknown][] = [
    ['a threshold of 0', { ...good, threshold: 0 }],
    ['an epoch of 0', { ...good, epoch: 0 }],
    ['a field more', { ...good, note: 1 }],
    ['a key twice', { ...good, keys: [good.keys[0], good.keys[0]] }],
    ['too many keys', { ...good, keys: Array(REVOCATION_LIMITS.keys + 1).fill(good.keys[0]) }],
    ['null', null],
  ];
  for (const [name, value] of cases) t.throws(() => field(value), { code: 'E_SCHEMA' }, name);
  t.equal(field(undefined), undefined);
  const odd = { keytype: 'future', scheme: 'future', keyval: { public: 'x' } };
  t.equal(
    field({ ...good, keys: [...good.keys, odd] })?.keys.length,
    3,
    'unknown keys count nowhere',
  );
  t.throws(() => revocationTrustField({ ...TRUST, threshold: 4 }), { code: 'E_SCHEMA' });
});

t.test('floors are kept, raised, and never guessed', async (t) => {
  const floors = {
    epoch: 1,
    version: 2,
    sha256: A,
    generations: new Map([['acme/edu', 2]]),
    vendors: new Map([['acme/nic', 1]]),
  };
  const stored = { ...NO_FLOORS, revocations: floors };
  t.strictSame(parseFloors(formatFloors(stored)), stored);
  t.strictSame(parseFloors(formatFloors(NO_FLOORS)), NO_FLOORS);
  const higher = { ...floors, version: 3, sha256: B, vendors: new Map([['acme/nic', 4]]) };
  for (const [a, b] of [
    [floors, higher],
    [higher, floors],
  ] as const) {
    const raised = raiseFloors(
      { ...NO_FLOORS, revocations: a },
      { ...NO_FLOORS, revocations: b },
    ).revocations;
    t.match(raised, { version: 3, sha256: B });
    t.equal(raised?.vendors.get('acme/nic'), 4);
    t.equal(raised?.generations.get('acme/edu'), 2);
  }
  const other = { ...floors, epoch: 2, version: 1, generations: new Map() };
  t.strictSame(raiseFloors(stored, { ...NO_FLOORS, revocations: other }).revocations, other);
  t.strictSame(raiseFloors({ ...NO_FLOORS, revocations: other }, stored).revocations, other);
  const text = new TextDecoder().decode(formatFloors(stored));
  for (const bad of [
    text.replace('"epoch":1', '"epoch":-1'),
    text.replace('acme/edu', 'acme'),
    text.replace('"version":2,', ''),
    text.replace('"epoch":1', '"epoch":1,"note":1'),
  ])
    t.throws(() => parseFloors(utf8(bad)), { code: /^E_(SCHEMA|NAME)$/ });
});
