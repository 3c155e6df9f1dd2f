/** Roles nested in nested ones, and bins of a nested role: each judged by what its own parent gives it. */

import t from 'tap';
import { Expiries } from '../../server/storage/expiries.ts';
import { BATCH_TYPE, formatBatch } from '../../shared/api/blob-batch.ts';
import { SUBMISSION_SCHEMA, submissionReply } from '../../shared/api/upload.ts';
import { utf8 } from '../../shared/bytes.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { buildEvidenceKeys, ROLE_FIELD } from '../../shared/evidence/keys.ts';
import { Node } from '../../shared/json/decode.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { api } from '../../shared/layout.ts';
import { NESTED_LIMITS } from '../../shared/limits.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { succinctTree } from '../../shared/tuf/build.ts';
import { binFor, parseDelegations } from '../../shared/tuf/delegations.ts';
import { testKey } from '../support/keys.ts';
import type { TestArtifact } from '../support/repository.ts';
import { ACME, asked, type Nested, nestedIn, sha256, WIFI } from './nesting.ts';
import { call, running } from './support.ts';

const AX: Nested = { name: 'acme.wifi.ax', paths: ['acme/wifi-ax*/*/*'], signers: [testKey('ax')] };
const USB: Nested = {
  name: 'acme.wifi.ax.usb',
  paths: ['acme/wifi-ax/usb*/*'],
  signers: [testKey('usb')],
};
const RADIO = 'acme/wifi6/1.0.0/radio.js';
const INNER = 'acme/wifi-ax/1.0.0/radio.js';
const INMOST = 'acme/wifi-ax/usb1/radio.js';

t.test('nested three deep, each published into alone, and taken back', async (t) => {
  const it = await running(t);
  const { own, below, submit, artifact, find, snapshot, findings } = asked(it);
  const [radio, inner, inmost] = [
    await artifact(RADIO),
    await artifact(INNER),
    await artifact(INMOST),
  ];
  await it.caller.uploadAll([radio, inner, inmost]);
  t.equal(
    await submit(await own(1, [], [WIFI]), await below(WIFI, 1, [radio, inner, inmost])),
    'published',
  );
  // The vendor's own role has no part in what a nested one gives on.
  const giving = { delegations: nestedIn([AX]) };
  t.equal(
    await submit(
      undefined,
      await below(WIFI, 2, [radio], giving),
      await below(AX, 1, [inner, inmost]),
    ),
    'published',
  );
  t.strictSame(await find(INNER), ['targets', 'acme', 'acme.wifi', 'acme.wifi.ax']);
  t.strictSame(await find(RADIO), ['targets', 'acme', 'acme.wifi']);
  const deeper = { delegations: nestedIn([USB]) };
  t.equal(
    await submit(undefined, await below(AX, 2, [inner], deeper), await below(USB, 1, [inmost])),
    'published',
  );
  t.strictSame(await find(INMOST), [
    'targets',
    'acme',
    'acme.wifi',
    'acme.wifi.ax',
    'acme.wifi.ax.usb',
  ]);
  const next = await artifact('acme/wifi-ax/usb2/radio.js');
  await it.caller.uploadAll([next]);
  t.equal(await submit(undefined, await below(USB, 2, [inmost, next])), 'published', 'alone');
  t.equal(await snapshot('acme'), 1);
  t.equal(await snapshot('acme.wifi'), 2);
  t.same(await findings(), []);
  const expiries = await new Expiries().all(await it.repository.current.need());
  t.strictSame(
    expiries.map(({ role }) => role).filter((role) => role.startsWith('acme')),
    ['acme', 'acme.wifi', 'acme.wifi.ax', 'acme.wifi.ax.usb'],
    'their signers are reminded',
  );

  // Taken back in the middle: what stood below it must stand elsewhere, or is gone.
  const all = [radio, inner, inmost, next];
  t.equal(
    await submit(undefined, await below(WIFI, 3, [radio])),
    'published',
    'all of the branch below is withdrawn',
  );
  t.equal(await find(INMOST), undefined);
  t.equal(await snapshot('acme.wifi.ax.usb'), 2, 'names stay');
  t.same(await findings(), []);
  // Nested again: the deepest role, as it was signed once, must not bring back what was withdrawn.
  const stale = await below(AX, 3, [inner], deeper);
  const again = await below(WIFI, 4, [radio], giving);
  t.equal(await submit(undefined, again, stale), 'E_DELEGATION by nested');
  t.equal(
    await submit(undefined, again, stale, await below(USB, 2, [])),
    'E_CONFLICT by acme.wifi.ax.usb: version',
  );
  t.equal(await submit(undefined, again, stale, await below(USB, 3, all.slice(2, 3))), 'published');
  t.strictSame((await find(INMOST))?.length, 5);
  t.equal(await find('acme/wifi-ax/usb2/radio.js'), undefined);
  t.same(await findings(), []);
  t.same(it.failures, []);
});

const bins = (parent: Nested, bits: number, change: Partial<Nested> = {}): JsonObject => {
  const { signers, threshold = signers.length } = { ...parent, ...change };
  const keys = signers.map(({ key }) => key);
  return succinctTree(crypto, { keys, threshold }, bits, `${parent.name}.b${bits}`);
};

t.test('a nested role has bins of its own', async (t) => {
  const it = await running(t);
  const { own, below, submit, artifact, find, snapshot, findings } = asked(it);
  const radio = await artifact(RADIO);
  const next = await artifact('acme/wifi7/1.0.0/radio.js');
  await it.caller.uploadAll([radio, next]);
  t.equal(await submit(await own(1, [], [WIFI]), await below(WIFI, 1, [radio])), 'published');
  const delegations = bins(WIFI, 1);
  const { succinct } = parseDelegations(new Node(delegations, 'delegations'));
  /** The entries of artifacts, each in its bin. */
  const inBin = (bin: string, artifacts: readonly TestArtifact[]): TestArtifact[] =>
    artifacts.map((one) => ({
      ...one,
      entries: new Map(
        [...one.entries].filter(([path]) => binFor(crypto, succinct as never, path) === bin),
      ),
    }));
  const binOf = (
    number: number,
    version: number,
    artifacts: readonly TestArtifact[],
    change = {},
  ) => {
    const name = `acme.wifi.b1-${number}`;
    return below({ ...WIFI, name }, version, inBin(name, artifacts), change);
  };
  const split = await below(WIFI, 2, [], { delegations });
  const [zero, one] = [await binOf(0, 1, [radio]), await binOf(1, 1, [radio])];
  const cases: (readonly [string, string, ...(readonly [string, Uint8Array])[]])[] = [
    ['without a bin', 'E_DELEGATION by bins', split, zero],
    ['without the role', 'E_NOT_AUTHORISED by bins', zero, one],
    ['a bin of the vendor', 'E_NOT_AUTHORISED by nested', split, zero, one, ['acme.b1-0', zero[1]]],
    [
      'signed by the vendor',
      'E_THRESHOLD by bins: threshold',
      split,
      zero,
      await binOf(1, 1, [radio], { signers: ACME.tuf }),
    ],
    [
      'signed by too few',
      'E_THRESHOLD by bins: threshold',
      split,
      zero,
      await binOf(1, 1, [radio], { signers: WIFI.signers.slice(1) }),
    ],
    [
      'entries in the wrong bin',
      'E_DELEGATION by bins: bin',
      split,
      [zero[0], one[1]],
      [one[0], zero[1]],
    ],
    [
      'a bin that delegates',
      'E_DELEGATION by bins: bin',
      split,
      zero,
      await binOf(1, 1, [radio], { delegations }),
    ],
    [
      'entries in the role',
      'E_DELEGATION by acme.wifi: paths',
      await below(WIFI, 2, [radio], { delegations }),
      zero,
      one,
    ],
    [
      'bins called otherwise',
      'E_DELEGATION by acme.wifi: paths',
      await below(WIFI, 2, [], { delegations: bins({ ...WIFI, name: 'acme' }, 1) }),
      zero,
      one,
    ],
    [
      'more bins than may be',
      'E_DELEGATION by acme.wifi: paths',
      await below(WIFI, 2, [], { delegations: bins(WIFI, 32) }),
      zero,
      one,
    ],
    [
      'bins that an API key signs',
      'E_KEY by acme.wifi: paths',
      await below(WIFI, 2, [], { delegations: bins(WIFI, 1, { signers: [ACME.api] }) }),
      zero,
      one,
    ],
    [
      'bins that an evidence key signs',
      'E_KEY by acme.wifi: paths',
      await below(WIFI, 2, [], { delegations: bins(WIFI, 1, { signers: [ACME.evidence] }) }),
      zero,
      one,
    ],
    ['a path of the vendor', 'E_NOT_AUTHORISED by bins: namespace', split, ...(await strays())],
  ];
  for (const [what, code, ...roles] of cases)
    t.equal(await submit(undefined, ...roles), code, what);
  async function strays() {
    const edu = await artifact('acme/edu/1.0.0/edu.js');
    await it.caller.uploadAll([edu]);
    return [await binOf(0, 1, [radio, edu]), await binOf(1, 1, [radio, edu])];
  }

  t.equal(await submit(undefined, split, zero, one), 'published');
  const chain = await find(RADIO);
  t.match(chain, ['targets', 'acme', 'acme.wifi', /^acme\.wifi\.b1-[01]$/]);
  t.same(await findings(), []);

  // What changes is signed, and nothing else.
  t.equal(
    await submit(undefined, await binOf(0, 2, [radio, next]), await binOf(1, 2, [radio, next])),
    'published',
  );
  t.match(await find('acme/wifi7/1.0.0/radio.js'), { length: 4 });
  t.equal(await snapshot('acme.wifi'), 2);
  // The role alone, with a new date, needs its bins not, nor does the vendor's.
  t.equal(await submit(undefined, await below(WIFI, 3, [], { delegations })), 'published');
  t.equal(await submit(await own(2, [], [WIFI])), 'published');
  // A vendor's change of the nested role's keys leaves its bins to the keys that they have.
  const rotated: Nested = { ...WIFI, signers: [testKey('wifi 3')] };
  t.equal(
    await submit(await own(3, [], [rotated]), await below(rotated, 4, [], { delegations })),
    'published',
  );
  t.equal(await submit(undefined, await binOf(0, 3, [radio, next])), 'published');

  // Put together again, and taken back: every entry of the bins is accounted for.
  t.equal(await submit(await own(4, [radio, next])), 'published');
  t.strictSame(await find(RADIO), ['targets', 'acme']);
  t.equal(await snapshot('acme.wifi.b1-0'), 3);
  t.same(await findings(), []);
  t.same(it.failures, []);
});

t.test('what may not be nested deeper', async (t) => {
  const it = await running(t);
  const { own, below, submit, artifact } = asked(it);
  const [radio, inner] = [await artifact(RADIO), await artifact(INNER)];
  await it.caller.uploadAll([radio, inner]);
  t.equal(
    await submit(await own(1, [], [WIFI]), await below(WIFI, 1, [radio, inner])),
    'published',
  );
  const giving = async (nested: readonly Nested[], artifacts = [radio]) =>
    await below(WIFI, 2, artifacts, { delegations: nestedIn(nested) });
  const ax = await below(AX, 1, [inner]);
  const cases: (readonly [string, string, ...(readonly [string, Uint8Array])[]])[] = [
    ['nobody leads there', 'E_NOT_AUTHORISED by nested', ax],
    [
      'its parent leads nowhere',
      'E_NOT_AUTHORISED by nested',
      await below({ ...USB, name: 'acme.net.ax' }, 1, []),
    ],
    ['the role is missing', 'E_DELEGATION by nested', await giving([AX])],
    [
      'paths beyond its own',
      'E_DELEGATION by acme.wifi: paths',
      await giving([{ ...AX, paths: ['acme/edu/*/*'] }]),
      ax,
    ],
    [
      'all of the vendor’s',
      'E_DELEGATION by acme.wifi: paths',
      await giving([{ ...AX, paths: ['acme/*/*/*'] }]),
      ax,
    ],
    [
      'a sibling’s name',
      'E_NAME by acme.wifi: paths',
      await giving([{ ...AX, name: 'acme.net' }]),
      ax,
    ],
    [
      'a grandchild',
      'E_NAME by acme.wifi: paths',
      await giving([{ ...AX, name: 'acme.wifi.ax.usb' }]),
      ax,
    ],
    ['itself', 'E_NAME by acme.wifi: paths', await giving([{ ...AX, name: 'acme.wifi' }]), ax],
    [
      'a bin’s name',
      'E_NAME by acme.wifi: paths',
      await giving([{ ...AX, name: 'acme.wifi.b1-0' }]),
      ax,
    ],
    ['listed in both', 'E_DELEGATION by acme.wifi: paths', await giving([AX], [radio, inner]), ax],
    [
      'signed by its parent',
      'E_THRESHOLD by acme.wifi.ax: threshold',
      await giving([AX]),
      await below(AX, 1, [inner], { signers: WIFI.signers }),
    ],
    [
      'what is its parent’s',
      'E_DELEGATION by acme.wifi.ax: paths',
      await giving([AX], []),
      await below(AX, 1, [inner, radio]),
    ],
    ['an API key', 'E_KEY by acme.wifi: paths', await giving([{ ...AX, signers: [ACME.api] }]), ax],
    [
      'an evidence key',
      'E_KEY by acme.wifi: paths',
      await giving([{ ...AX, signers: [ACME.evidence] }]),
      ax,
    ],
    [
      'too deep',
      'E_NAME by acme.wifi.ax.usb: paths',
      await giving([AX]),
      await below(AX, 1, [inner], { delegations: nestedIn([USB]) }),
      await below(USB, 1, [], { delegations: nestedIn([{ ...USB, name: 'acme.wifi.ax.usb.c' }]) }),
    ],
  ];
  for (const [what, code, ...roles] of cases)
    t.equal(await submit(undefined, ...roles), code, what);
  t.equal(await submit(undefined, ax, await giving([AX])), 'published', 'in whatever order');
  // The other way round: a key that signs deep down begins to sign evidence.
  const evidence = (...signers: Signer[]) => ({
    extra: jsonObject([
      [ROLE_FIELD, buildEvidenceKeys({ active: signers.map(({ key }) => key), retired: [] })],
    ]),
  });
  const naming = (...more: Signer[]) => own(2, [], [WIFI], evidence(ACME.evidence, ...more));
  t.equal(await submit(await naming(...AX.signers)), 'E_KEY by evidence-keys: below', 'two deep');
  t.equal(await submit(await naming(...WIFI.signers)), 'E_KEY by evidence-keys', 'one deep');
  t.equal(await submit(await naming(testKey('another'))), 'published', 'a key of its own');
  t.same(it.failures, []);
});

t.test('the number of nested roles is that of the whole branch', async (t) => {
  const it = await running(t);
  const { own, below, submit } = asked(it);
  const signers = [testKey('many')];
  const many = (count: number): Nested[] =>
    Array.from({ length: count }, (_, i) => ({
      name: `acme.wifi.n${i}`,
      paths: [`acme/wifi-${i}/*/*`],
      signers,
    }));
  const filesOf = (nested: readonly Nested[]) =>
    Promise.all(nested.map((one) => below(one, 1, [])));
  t.equal(await submit(await own(1, [], [WIFI]), await below(WIFI, 1, [])), 'published');
  const full = many(NESTED_LIMITS.roles);
  const giving = async (nested: readonly Nested[]) =>
    await below(WIFI, 2, [], { delegations: nestedIn(nested) });
  t.equal(
    await submit(undefined, await giving(full), ...(await filesOf(full)).slice(0, 255)),
    'E_DELEGATION by nested',
    'one is missing',
  );
  const fewer = full.slice(0, NESTED_LIMITS.roles - 1);
  t.equal(await submit(undefined, await giving(fewer), ...(await filesOf(fewer))), 'published');
  const more = { ...AX, name: 'acme.more', paths: ['acme/more/*/*'] };
  t.equal(
    await submit(await own(2, [], [WIFI, more]), await below(more, 1, [])),
    'E_QUOTA by nested: number',
  );
  t.same(it.failures, []);
});

t.test('more nested roles than one may have are refused before they are read', async (t) => {
  const it = await running(t);
  const { own, below, submit, findings } = asked(it);
  t.equal(await submit(await own(1, [], [WIFI]), await below(WIFI, 1, [])), 'published');
  // One upload under many names, in the list that is long because bins are many.
  const [, bytes] = await below(WIFI, 2, [], { delegations: nestedIn([AX]) });
  const body = formatBatch([{ sha256: sha256(bytes), bytes }]);
  const headers = await it.caller.headers('POST', api.blobs, { 'content-type': BATCH_TYPE }, body);
  t.equal((await call(it.caller.url, 'POST', api.blobs, headers, body)).status, 200);
  const bins = Array.from({ length: NESTED_LIMITS.roles + 1 }, (_, i) => ({
    role: `acme.wifi.n${i}`,
    sha256: sha256(bytes),
  }));
  const document = { schema: SUBMISSION_SCHEMA, role: 'acme', bins };
  const answer = await it.caller.send('POST', api.submissions, utf8(JSON.stringify(document)));
  const { id } = submissionReply.parse(JSON.parse(answer.body.toString()));
  const { state, error, verdicts } = await it.caller.ended(id);
  t.match({ state, error, verdicts }, { state: 'refused', error: { code: 'E_QUOTA' } });
  t.strictSame(
    verdicts.map(({ check, ok }) => [check, ok]),
    [['nested', false]],
    'and nothing else was looked at',
  );
  t.same(await findings(), []);
});
