import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { IN_TOTO_PAYLOAD_TYPE, STATEMENT_TYPE } from '../../shared/evidence/identifiers.ts';
import { handBuiltProvenance, parseProvenance } from '../../shared/evidence/provenance.ts';
import { buildStatement, parseStatement, subjectMatches } from '../../shared/evidence/statement.ts';
import { Node } from '../../shared/json/decode.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { EVIDENCE_LIMITS } from '../../shared/limits.ts';
import { bytesOf, NOW, PROVENANCE, refused, sha256, sha512, textOf } from './support.ts';

const TYPE = 'https://example.com/claim/v1';
const enveloped = (payload: Uint8Array, payloadType: string = IN_TOTO_PAYLOAD_TYPE) => ({
  payloadType,
  payload,
  signatures: [],
});
const parse = (value: JsonValue) => parseStatement(enveloped(bytesOf(value)));
const A = sha256(utf8('a'));
const A512 = sha512(utf8('a'));
const B = sha256(utf8('b'));
const GOOD = {
  _type: STATEMENT_TYPE,
  subject: [{ name: 'a', digest: { sha256: A } }],
  predicateType: TYPE,
  predicate: { x: 1 },
};

t.test('what is built is exactly a Statement v1, and read back', async (t) => {
  const bytes = buildStatement({
    subjects: [{ name: 'a', sha256: A, sha512: A512 }],
    predicateType: TYPE,
    predicate: { x: 1 },
  });
  t.equal(
    textOf(bytes),
    `{"_type":"${STATEMENT_TYPE}","subject":[{"name":"a","digest":{"sha256":"${A}","sha512":"${A512}"}}],` +
      `"predicateType":"${TYPE}","predicate":{"x":1}}`,
  );
  const statement = parseStatement(enveloped(bytes));
  t.same(statement.subjects, [{ name: 'a', sha256: A, sha512: A512 }]);
  t.equal(statement.predicateType, TYPE);
  t.equal(statement.predicate.get('x').integer(), 1);
});

t.test('nothing is built that the reader would refuse', async (t) => {
  const build = (predicate: Record<string, JsonValue>) => () =>
    buildStatement({ subjects: [{ sha256: A }], predicateType: TYPE, predicate });
  refused(t, build({ x: 0.5 }), 'E_SCHEMA', 'a fraction');
  refused(t, build({ x: ['\ud800'] }), 'E_SCHEMA', 'a lone surrogate');
  refused(t, build({ '\udc00': null }), 'E_SCHEMA', 'a lone surrogate as a key');
});

t.test('subjects are matched by all digests that both know, SHA-256 first', async (t) => {
  const matches = (digest: JsonValue, measured: { sha256: string; sha512?: string }) =>
    subjectMatches(parse({ ...GOOD, subject: [{ name: 'a', digest }] }), measured);
  t.ok(matches({ sha256: A }, { sha256: A }));
  t.ok(matches({ sha256: A, sha512: A512 }, { sha256: A, sha512: A512 }));
  t.ok(
    matches({ sha256: A, gitCommit: 'anything' }, { sha256: A }),
    'unaccepted algorithms are ignored',
  );
  t.notOk(matches({ sha256: B }, { sha256: A }));
  t.notOk(matches({ sha512: A512 }, { sha256: A, sha512: A512 }), 'SHA-256 must be there');
  t.notOk(
    matches({ sha256: A, sha512: sha512(utf8('b')) }, { sha256: A, sha512: A512 }),
    'one of two',
  );
  t.notOk(matches({ sha1: 'da39a3ee' }, { sha256: A }), 'a weak one alone');
  const several = parse({
    ...GOOD,
    subject: [{ digest: { sha256: B } }, { digest: { sha256: A } }],
  });
  t.ok(subjectMatches(several, { sha256: A }));
});

t.test('hostile statements', async (t) => {
  t.ok(parse({ ...GOOD, extra: 1 }), 'unknown fields are ignored');
  t.same(
    parse({ _type: STATEMENT_TYPE, subject: GOOD.subject, predicateType: TYPE }).predicate.value,
    {},
  );
  const named = { digest: { sha256: A } };
  const shapes: Record<string, JsonValue> = {
    'another _type': { ...GOOD, _type: 'https://in-toto.io/Statement/v0.1' },
    'no subject': { ...GOOD, subject: [] },
    'a subject without digest': { ...GOOD, subject: [{ name: 'a' }] },
    'a subject with an empty digest': { ...GOOD, subject: [{ name: 'a', digest: {} }] },
    'a digest in upper case': { ...GOOD, subject: [{ digest: { sha256: A.toUpperCase() } }] },
    'a digest too short': { ...GOOD, subject: [{ digest: { sha256: A.slice(2) } }] },
    'a digest that is a number': { ...GOOD, subject: [{ digest: { sha256: A, sha1: 1 } }] },
    'too many subjects': { ...GOOD, subject: Array(EVIDENCE_LIMITS.subjects + 1).fill(named) },
    'too many digests': {
      ...GOOD,
      subject: [
        { digest: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`h${i}`, 'x'])) },
      ],
    },
    'a predicate type without scheme': { ...GOOD, predicateType: 'provenance' },
    'a predicate that is a list': { ...GOOD, predicate: [] },
    'an array': [GOOD],
  };
  for (const [name, shape] of Object.entries(shapes))
    refused(t, () => parse(shape), 'E_SCHEMA', name);
  t.equal(
    parse({ ...GOOD, subject: Array(EVIDENCE_LIMITS.subjects).fill(named) }).subjects.length,
    1024,
  );

  const text = JSON.stringify(GOOD);
  const read = (changed: string) => () => parseStatement(enveloped(utf8(changed)));
  refused(t, read(text.slice(0, -1)), 'E_JSON', 'cut');
  refused(
    t,
    read(text.replace('"subject"', '"predicateType":"x:y","subject"')),
    'E_JSON',
    'a key twice',
  );
  refused(t, read(`{"a":${'['.repeat(80)}${']'.repeat(80)}}`), 'E_JSON', 'nested');
  for (const payloadType of [
    'application/vnd.in-toto.provenance+json',
    'application/json',
    `${IN_TOTO_PAYLOAD_TYPE} `,
  ]) {
    refused(t, () => parseStatement(enveloped(utf8(text), payloadType)), 'E_SCHEMA', payloadType);
  }
});

t.test('a provenance by hand claims what it was told and nothing else', async (t) => {
  t.same(PROVENANCE, {
    buildDefinition: {
      buildType: 'https://ironshim.dev/ironport/by-hand/v1',
      externalParameters: { source: 'git+https://git.acme.example/edu@refs/tags/v1.0.0' },
    },
    runDetails: { builder: { id: 'https://ironshim.dev/builders/vendor-by-hand/v1' } },
  });
  const whole = handBuiltProvenance({
    buildType: 'https://a.example/b',
    externalParameters: {},
    builderId: 'https://a.example/c',
    invocation: 'run 7',
    started: NOW,
    finished: NOW + 1,
  });
  t.same(parseProvenance(new Node(whole, 'p')), {
    dependencies: [],
    buildType: 'https://a.example/b',
    externalParameters: {},
    builderId: 'https://a.example/c',
    invocationId: 'run 7',
    startedOn: NOW,
    finishedOn: NOW + 1,
  });
});

t.test('hostile provenances', async (t) => {
  const buildDefinition = { buildType: 'https://a.example/b', externalParameters: {} };
  const runDetails = { builder: { id: 'https://a.example/c' } };
  const parsed = (change: Record<string, JsonValue>) => () =>
    parseProvenance(new Node({ buildDefinition, runDetails, ...change }, 'p'));
  t.ok(parsed({ acme_extension: 1 })(), 'unknown fields are ignored');
  const shapes: Record<string, Record<string, JsonValue>> = {
    'no definition': { buildDefinition: null },
    'no build type': { buildDefinition: { externalParameters: {} } },
    'no parameters': { buildDefinition: { buildType: 'https://a.example/b' } },
    'parameters that are a list': {
      buildDefinition: { ...buildDefinition, externalParameters: [] },
    },
    'dependencies that are an object': {
      buildDefinition: { ...buildDefinition, resolvedDependencies: {} },
    },
    'a dependency that is a text': {
      buildDefinition: { ...buildDefinition, resolvedDependencies: ['x'] },
    },
    'no builder': { runDetails: {} },
    'a builder that is no URI': { runDetails: { builder: { id: 'github actions' } } },
    'a time without zone': {
      runDetails: { ...runDetails, metadata: { startedOn: '2030-01-31T12:00:00' } },
    },
  };
  for (const [name, shape] of Object.entries(shapes)) refused(t, parsed(shape), 'E_SCHEMA', name);
});
