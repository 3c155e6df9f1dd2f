import t from 'tap';
import type { PublicKey } from '../../shared/crypto/key.ts';
import { nobleCrypto as crypto } from '../../shared/crypto/noble.ts';
import { buildEvidenceKeys } from '../../shared/evidence/keys.ts';
import { type JsonObject, type JsonValue, jsonObject } from '../../shared/json/value.ts';
import { DAY } from '../../shared/time.ts';
import {
  delegationTree,
  formatMetadata,
  keyTable,
  type RoleSpec,
  rootTree,
  targetEntry,
  targetsTree,
  withFields,
} from '../../shared/tuf/build.ts';
import { diffText, parseRoleFile, trustDiff } from '../../shared/tuf/diff/trust-diff.ts';
import { parseHardwareId } from '../../shared/tuf/hardware-id.ts';
import { type Vendor, vendorsField } from '../../shared/tuf/vendors.ts';
import { testKey } from '../support/keys.ts';
import { codeOf, NOW } from './support.ts';

const EXPIRES = NOW + 365 * DAY;
const key = (name: string): PublicKey => testKey(name).key;
const id = (name: string): string => testKey(name).keyid.slice(0, 12);
const role = (threshold: number, ...names: string[]): RoleSpec => ({
  keys: names.map(key),
  threshold,
});

const ROLES = {
  root: role(2, 'r1', 'r2', 'r3'),
  targets: role(1, 't1'),
  snapshot: role(1, 's'),
  timestamp: role(1, 'ts'),
};
const root = (version: number, roles: Partial<typeof ROLES> = {}): JsonObject =>
  rootTree(crypto, version, EXPIRES, { ...ROLES, ...roles });

function diff(before: JsonObject | undefined, after: JsonObject, now = NOW): string[] {
  const file = (tree: JsonObject) => parseRoleFile(formatMetadata(tree, new Map()), 'file');
  return trustDiff(crypto, before && file(before), file(after), now).map(
    ({ effect, text }) => `${effect}: ${text}`,
  );
}

t.test('a first root says everything as new', async (t) => {
  t.same(diff(undefined, root(1)), [
    `gains: the key ${id('r1')} (ed25519) may sign root`,
    `gains: the key ${id('r2')} (ed25519) may sign root`,
    `gains: the key ${id('r3')} (ed25519) may sign root`,
    'gains: root needs 2 of 3 signatures',
    `gains: the key ${id('t1')} (ed25519) may sign targets`,
    'gains: targets needs 1 of 1 signatures',
    `gains: the key ${id('s')} (ed25519) may sign snapshot`,
    'gains: snapshot needs 1 of 1 signatures',
    `gains: the key ${id('ts')} (ed25519) may sign timestamp`,
    'gains: timestamp needs 1 of 1 signatures',
    'changes: it is version 1',
    'changes: it is valid until 2031-01-31T12:00:00Z',
  ]);
});

t.test('a root that exchanges keys and thresholds', async (t) => {
  const after = root(2, {
    root: role(1, 'r1', 'r2', 'r4'),
    snapshot: role(1, 's2'),
    timestamp: role(1, 'ts2'),
  });
  t.same(diff(root(1), after), [
    `loses: the key ${id('r3')} (ed25519) may no longer sign root`,
    `gains: the key ${id('r4')} (ed25519) may sign root`,
    'changes: root needs 1 of 3 signatures, where it was 2 of 3',
    `loses: the key ${id('s')} (ed25519) may no longer sign snapshot`,
    `gains: the key ${id('s2')} (ed25519) may sign snapshot`,
    `loses: the key ${id('ts')} (ed25519) may no longer sign timestamp`,
    `gains: the key ${id('ts2')} (ed25519) may sign timestamp`,
    'changes: hosts that take this root drop the timestamp and the snapshot that they trusted',
    'changes: it is version 2, after version 1',
  ]);
});

t.test('what only looks different is not said, and what is odd is', async (t) => {
  t.same(diff(root(1), root(1)), []);
  t.equal(diffText([]), '  = nothing changes');
  // A key that only changed its id signs what it signed before.
  const renamed = JSON.parse(JSON.stringify(root(2)).replaceAll(testKey('r3').keyid, 'opaque'));
  t.same(diff(root(1), renamed), ['changes: it is version 2, after version 1']);

  t.same(diff(root(1), root(3)).slice(-1), ['warns: version 3 does not follow version 1']);
  t.same(diff(root(2), root(1)).slice(-1), ['warns: version 1 does not follow version 2']);
  t.same(diff(root(1), root(2), EXPIRES + 3 * DAY).slice(-1), ['warns: it expired 3 days ago']);
  t.ok(
    diff(root(1), root(2, { timestamp: role(1, 'r1') })).includes(
      `warns: the key ${id('r1')} (ed25519) lies on the service and may sign root or targets too`,
    ),
  );
});

t.test('nothing passes unseen because it is not understood', async (t) => {
  const odd = (tree: JsonObject, fields: Record<string, JsonValue>): string[] =>
    diff(tree, withFields(tree, fields));
  t.match(odd(root(1), { 'x-new': 1 }), ['changes: the field "x-new" is new']);
  t.match(diff(withFields(root(1), { 'x-new': 1 }), root(1)), [
    'changes: the field "x-new" is gone',
  ]);
  t.match(odd(withFields(root(1), { x: 1 }), { x: 2 }), [
    'changes: the field "x" has another content',
  ]);
  t.match(odd(root(1), { consistent_snapshot: false }), [
    'changes: consistent snapshots are off from now on',
  ]);
  const mirrors = { ...(root(1).roles as JsonObject), mirrors: { keyids: [], threshold: 1 } };
  t.match(odd(root(1), { roles: mirrors }), ['changes: the field "roles.mirrors" is new']);
  t.match(odd(root(1), { spec_version: '1.0.99' }), [
    'changes: the field "spec_version" has another content',
  ]);
  t.match(odd(targets(1), { 'x-ironport': { vendors: {}, more: 1 } }), [
    'changes: the field "x-ironport.more" is new',
  ]);
  const before = targets(1, [acme], [ACME]);
  const noted = JSON.parse(JSON.stringify(before));
  noted['x-ironport'].vendors.acme.note = 'x';
  t.match(diff(before, noted), [
    'changes: the field "x-ironport.vendors.acme" is written differently',
  ]);
  const keys = JSON.parse(JSON.stringify(before));
  keys.delegations.keys.extra = { keytype: 'x', scheme: 'x', keyval: {} };
  t.match(diff(before, keys), ['changes: the field "delegations" is written differently']);
});

const ACME: Vendor = {
  name: 'acme',
  hardwareIds: [parseHardwareId('PCI:0x1234:0x11e8')],
  apiKeys: [key('acme api')],
  contact: 'security@acme.example',
};
const acme = delegation('acme', role(1, 'a1', 'a2'));
const other = delegation('other', role(1, 'o1'));

function delegation(name: string, spec: RoleSpec, paths = [`${name}/*/*/*`], terminating = true) {
  return delegationTree(crypto, name, spec, paths, terminating);
}

function targets(version: number, roles: JsonObject[] = [], vendors: Vendor[] = []): JsonObject {
  const keys = keyTable(crypto, ['a1', 'a2', 'a3', 'o1'].map(key));
  return targetsTree(version, EXPIRES, {
    targets: new Map(),
    delegations: jsonObject([
      ['keys', keys],
      ['roles', roles],
    ]),
    extra: jsonObject([['x-ironport', vendorsField(vendors)]]),
  });
}

t.test('a vendor comes and goes', async (t) => {
  const admitted = [
    `gains: acme may publish acme/*/*/*, signed by 1 of 2 of: ${id('a1')} (ed25519), ${id('a2')} (ed25519); nobody after it is asked about these`,
    'gains: acme may bind the hardware PCI:0x1234:0x11e8',
    `gains: the key ${id('acme api')} (ed25519) may send requests for acme`,
    'changes: acme is to be told of vulnerabilities at security@acme.example',
    'changes: it is version 2, after version 1',
  ];
  t.same(diff(targets(1), targets(2, [acme], [ACME])), admitted);
  t.same(diff(targets(2, [acme], [ACME]), targets(3)), [
    'loses: acme may no longer publish acme/*/*/*',
    'loses: acme may no longer bind the hardware PCI:0x1234:0x11e8',
    `loses: the key ${id('acme api')} (ed25519) may no longer send requests for acme`,
    'changes: it is version 3, after version 2',
  ]);
  t.ok(
    diff(targets(1), targets(2, [], [ACME])).includes(
      'warns: acme has hardware and keys, but may publish nothing',
    ),
  );
});

t.test('what a vendor may do changes', async (t) => {
  const before = targets(1, [acme, other], [ACME]);
  const wider = delegation('acme', role(2, 'a1', 'a3'), ['acme/*/*/*', 'other/*/*/*'], false);
  const more: Vendor = {
    ...ACME,
    hardwareIds: [parseHardwareId('PCI:0x1234')],
    apiKeys: [key('acme api 2')],
    contact: 'mallory@evil.example',
  };
  t.same(diff(before, targets(2, [wider, other], [more])), [
    'gains: acme may publish other/*/*/*',
    `loses: the key ${id('a2')} (ed25519) may no longer sign for acme`,
    `gains: the key ${id('a3')} (ed25519) may sign for acme`,
    'changes: acme needs 2 of 2 signatures, where it was 1 of 2',
    'changes: acme: who comes after it is asked about its paths from now on',
    'loses: acme may no longer bind the hardware PCI:0x1234:0x11e8',
    'gains: acme may bind the hardware PCI:0x1234',
    `loses: the key ${id('acme api')} (ed25519) may no longer send requests for acme`,
    `gains: the key ${id('acme api 2')} (ed25519) may send requests for acme`,
    'changes: acme is to be told of vulnerabilities at mallory@evil.example',
    'changes: it is version 2, after version 1',
  ]);
});

t.test('who is asked first is said', async (t) => {
  const both = targets(1, [acme, other]);
  t.match(diff(both, targets(1, [other, acme])), [
    'changes: roles are asked in another order: other, acme',
  ]);
  const first = delegation('first', role(1, 'o1'), ['acme/*/*/*']);
  t.ok(
    diff(both, targets(2, [first, acme, other])).includes('changes: first is asked before acme'),
  );
  t.notOk(diff(both, targets(2, [acme, other, first])).some((line) => line.includes('before')));
});

t.test('bins and hash prefixes', async (t) => {
  const spec = role(1, 'a1');
  const keys = keyTable(crypto, spec.keys);
  const bins = (bits: number): JsonValue => ({
    keyids: [testKey('a1').keyid],
    threshold: 1,
    bit_length: bits,
    name_prefix: 'acme.bin',
  });
  const withBins = (bits: number): JsonObject =>
    withFields(targets(1), { delegations: { keys, succinct_roles: bins(bits) } });
  t.match(diff(targets(1), withBins(4)), [
    `gains: delegated from now on to: the 16 bins acme.bin-*, signed by 1 of 1 of: ${id('a1')} (ed25519)`,
  ]);
  t.match(diff(withBins(4), withBins(8)), [/^loses: no longer .* 16 bins/, /^gains: .* 256 bins/]);
  const hashed = {
    name: 'h',
    keyids: [testKey('a1').keyid],
    threshold: 1,
    path_hash_prefixes: ['0a'],
  };
  const after = withFields(targets(1), { delegations: { keys, roles: [hashed] } });
  t.match(diff(targets(1), after), [/^gains: h may publish paths whose hash begins 0a, /]);
});

t.test("a vendor's own role", async (t) => {
  const file = { length: 10, sha256: 'a'.repeat(64) };
  const role = (version: number, entries: [string, JsonObject][], retired: PublicKey[] = []) =>
    targetsTree(version, EXPIRES, {
      targets: new Map(entries),
      extra: { 'x-ironport': buildEvidenceKeys({ active: [key('e')], retired }) },
    });
  const one: [string, JsonObject] = ['acme/edu/1/edu.js', targetEntry(file)];
  const two: [string, JsonObject] = ['acme/edu/2/edu.js', targetEntry(file)];
  t.same(diff(role(1, [one]), role(2, [one, two])), [
    'gains: acme/edu/2/edu.js is listed, 10 bytes with SHA-256 aaaaaaaaaaaa…',
    'changes: it is version 2, after version 1',
  ]);
  const swapped: [string, JsonObject] = [one[0], targetEntry({ ...file, sha256: 'b'.repeat(64) })];
  const noted: [string, JsonObject] = [two[0], targetEntry(file, { note: 1 })];
  t.same(diff(role(1, [one, two]), role(2, [swapped, noted], [key('old')])), [
    `gains: the key ${id('old')} (ed25519) is retired: it is good for evidence of what is listed still`,
    'changes: acme/edu/1/edu.js stands for other bytes',
    'changes: acme/edu/2/edu.js is described differently',
    'changes: it is version 2, after version 1',
  ]);
  t.match(diff(role(1, [one]), role(2, [])), ['loses: acme/edu/1/edu.js is no longer listed']);
  const many = Array.from({ length: 51 }, (_, i): [string, JsonObject] => [`a/b/c/${i}`, one[1]]);
  t.match(diff(undefined, role(1, many)), [/may sign evidence/, 'gains: 51 targets are listed']);
  t.equal(diff(role(1, []), role(2, many)).length, 52);
});

t.test('files that cannot be compared are refused', async (t) => {
  t.equal(await codeOf(() => diff(root(1), targets(2))), 'E_USAGE');
  const snapshot = withFields(root(1), { _type: 'snapshot' });
  t.equal(await codeOf(() => diff(undefined, snapshot)), 'E_SCHEMA');
});

t.test('no name in a file can add a line, or hide one', async (t) => {
  const name = 'x/y\n  = nothing changes\r\u001b[2J\u2028';
  const after = targets(1, [delegation('acme', role(1, 'a1'), [name])]);
  const file = parseRoleFile(formatMetadata(after, new Map()), 'file');
  const text = diffText(trustDiff(crypto, undefined, file, NOW));
  t.match(text, 'x/y\\u000a  = nothing changes\\u000d\\u001b[2J\\u2028');
  t.equal(text.split(/[\n\r\u2028]/).length, 3);
});

t.test('entries that are none are shown as they are, and end nothing', async (t) => {
  const listing = (entry: JsonValue): JsonObject =>
    targetsTree(1, EXPIRES, { targets: new Map([['a/b/1/c', entry as JsonObject]]) });
  const good = targetEntry({ length: 5, sha256: 'ab'.repeat(32) });
  for (const bad of [null, 1, 'x', [], {}, { length: {} }, { length: [jsonObject([])] }]) {
    t.same(
      diff(undefined, listing(bad as JsonValue))[0],
      'gains: a/b/1/c is listed, without a length and with no SHA-256',
    );
    t.same(
      diff(listing(bad as JsonValue), listing(good))[0],
      'changes: a/b/1/c stands for other bytes',
    );
    t.same(
      diff(listing(good), listing(bad as JsonValue))[0],
      'changes: a/b/1/c stands for other bytes',
    );
  }
  t.same(
    diff(listing({}), listing(null))[0],
    'changes: a/b/1/c is described differently',
    'and what means nothing does not change unseen',
  );
});
