/** What the vendor's role says about evidence: the custom field and the keys. */

import fc from 'fast-check';
import t from 'tap';
import { buildTargetCustom, parseTargetCustom } from '../../shared/evidence/custom.ts';
import {
  buildEvidenceKeys,
  evidenceKeyText,
  parseEvidenceKeys,
} from '../../shared/evidence/keys.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { EVIDENCE_LIMITS } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { keyId, keyObject } from '../../shared/tuf/key.ts';
import { acme, bytesOf, ed25519Signer, other, p256Signer, refused } from './support.ts';

/** Through bytes and the reader, as the fields travel in metadata. */
const travelled = (value: JsonValue): Node =>
  new Node(parseJson(bytesOf(value), { length: 1_000_000 }), 'signed');

t.test('the custom field comes back as it was', async (t) => {
  const entry = fc.record({
    length: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    sha256: fc.stringMatching(/^[0-9a-f]{64}$/),
  });
  const custom = fc.record({
    kind: fc.constant('artifact' as const),
    generation: fc.nat(),
    sidecars: fc.record(
      { ceiling: entry, statements: entry, sbom: entry, bundle: entry },
      { requiredKeys: [] },
    ),
  });
  fc.assert(
    fc.property(custom, (value) => {
      t.same(parseTargetCustom(travelled(buildTargetCustom(value))), value);
    }),
  );
});

t.test('hostile custom fields', async (t) => {
  const entry = { length: 1, sha256: 'a'.repeat(64) };
  const good = {
    schema: 'ironport.target/v1',
    kind: 'artifact',
    generation: 0,
    sidecars: { ceiling: entry },
  };
  const parse = (value: JsonValue) => parseTargetCustom(new Node(value, 'custom.ironport'));
  t.same(
    parse({ ...good, new: 1, sidecars: { other: 1 } }).sidecars,
    {},
    'unknown fields are left',
  );
  const shapes: Record<string, JsonValue> = {
    'another schema': { ...good, schema: 'ironport.target/v2' },
    'another kind': { ...good, kind: 'sidecar' },
    'no generation': { ...good, generation: null },
    'a negative generation': { ...good, generation: -1 },
    'no sidecars': { ...good, sidecars: [] },
    'an empty sidecar': { ...good, sidecars: { ceiling: { ...entry, length: 0 } } },
    'a digest in upper case': {
      ...good,
      sidecars: { ceiling: { ...entry, sha256: 'A'.repeat(64) } },
    },
    'a digest with a newline': {
      ...good,
      sidecars: { ceiling: { ...entry, sha256: `${entry.sha256}\n` } },
    },
    'a text': 'ironport.target/v1',
  };
  for (const [name, shape] of Object.entries(shapes))
    refused(t, () => parse(shape), 'E_SCHEMA', name);
});

t.test('evidence keys come back with their states', async (t) => {
  const keys = { active: [acme.key, p256Signer().key], retired: [other.key] };
  t.same(parseEvidenceKeys(travelled({ 'x-ironport': buildEvidenceKeys(keys) })), keys);
  const none = { active: [], retired: [] };
  t.same(parseEvidenceKeys(travelled({ 'x-ironport': buildEvidenceKeys(none) })), none);
  t.same(parseEvidenceKeys(travelled({})), none, 'a role that lists none');
  t.same(parseEvidenceKeys(travelled({ 'x-ironport': {} })), none);
  const id = keyId(platformCrypto, acme.key);
  t.equal(evidenceKeyText(platformCrypto, acme.key, keys), `ed25519 ${id}`);
  t.match(evidenceKeyText(platformCrypto, other.key, keys), / \(retired\)$/);
});

t.test('hostile lists of keys', async (t) => {
  const listed = (...evidence_keys: JsonValue[]) => travelled({ 'x-ironport': { evidence_keys } });
  const entry = { ...keyObject(acme.key), state: 'active' };
  const parse =
    (...keys: JsonValue[]) =>
    () =>
      parseEvidenceKeys(listed(...keys));
  refused(t, parse(entry, entry), 'E_SCHEMA', 'a key twice');
  refused(t, parse(entry, { ...entry, state: 'retired' }), 'E_SCHEMA', 'active and retired');
  refused(t, parse({ ...entry, state: 'revoked' }), 'E_SCHEMA', 'another state');
  refused(t, parse(keyObject(acme.key)), 'E_SCHEMA', 'no state');
  refused(t, parse('key'), 'E_SCHEMA', 'a text');
  refused(
    t,
    () => parseEvidenceKeys(travelled({ 'x-ironport': { evidence_keys: {} } })),
    'E_SCHEMA',
    'an object',
  );
  refused(t, () => parseEvidenceKeys(travelled({ 'x-ironport': 1 })), 'E_SCHEMA', 'a number');
  const many = Array.from({ length: EVIDENCE_LIMITS.keys + 1 }, (_, i) => ({
    ...keyObject(ed25519Signer(`key ${i}`).key),
    state: 'retired',
  }));
  refused(t, parse(...many), 'E_SCHEMA', 'too many');
  const unusable = [
    { keytype: 'ml-dsa', scheme: 'ml-dsa-65', keyval: { public: 'x' }, state: 'active' },
    {
      keytype: 'ed25519',
      scheme: 'ed25519',
      keyval: { public: `01${'00'.repeat(31)}` },
      state: 'active',
    },
  ];
  t.same(
    parse(...unusable, entry)(),
    { active: [acme.key], retired: [] },
    'unusable keys count nowhere',
  );
});
