/** A host's policy: read strictly, and each rule refusing for its own reason. */

import { readFileSync } from 'node:fs';
import t from 'tap';
import { toHex, utf8 } from '../../shared/bytes.ts';
import { nobleCrypto } from '../../shared/crypto/noble.ts';
import type { Bill } from '../../shared/evidence/bill/bill.ts';
import { writeCycloneDx } from '../../shared/evidence/bill/write-cyclonedx.ts';
import { writeSpdx3 } from '../../shared/evidence/bill/write-spdx3.ts';
import { BUILD_TYPES, BUILDERS, PREDICATE_TYPES } from '../../shared/evidence/identifiers.ts';
import { explainPolicy } from '../../shared/evidence/policy/explain.ts';
import { parseHostPolicy } from '../../shared/evidence/policy/host-policy.ts';
import { passes, requirePolicy } from '../../shared/evidence/policy/verdict.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../shared/json/value.ts';
import { POLICY_LIMITS } from '../../shared/limits.ts';
import { formatInstant } from '../../shared/time.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import {
  builder,
  document,
  failing,
  type Given,
  judge,
  lab,
  made,
  policyWith,
  provenanceLine,
  review,
  SOURCE,
  second,
  statement,
  tested,
} from './policy-support.ts';
import { acme, bytesOf, EDU, NOW, other, PROVENANCE, refused, textOf } from './support.ts';

t.test('without a policy the default holds, and says what it rests on', async (t) => {
  const verdict = await judge(undefined);
  t.match(verdict, { epoch: null, policy: null, namespace: null, level: 1 });
  t.match(verdict.rules, [{ rule: 'default', holds: true, evidence: /^line 1, by ed25519 / }]);
  t.equal(verdict.notJudged.length, 2);
});

t.test('a policy that everything holds of, word for word in both cryptographies', async (t) => {
  const policy = policyWith({
    ...builder(),
    minimum_level: 2,
    build_types: [BUILD_TYPES.byHand],
    sources: [SOURCE],
    external_parameters: {
      source: { one_of: ['x', 'git+https://git.acme.example/edu@refs/tags/v1.0.0'] },
      target: { any: true, optional: true },
    },
    predicates: [{ type: 'test-result', signers: ['lab', 'second'], least: 2 }],
    reviews: { signers: ['lab'] },
    sbom: {
      deny_licences: ['GPL-3.0-only'],
      without_licence: 'allow',
      forbid: ['pkg:npm/left-pad@1.0.0'],
      without_purl: 'allow',
    },
    expressions: [
      { name: 'generation', cel: 'artifact.generation >= 1 && artifact.vendor == "acme"' },
      { name: 'packages', cel: 'sbom.packages.all(p, p.name.startsWith("edu"))' },
      { name: 'level', cel: 'provenance.level == 2' },
      { name: 'lines', cel: 'statements.exists(s, s.predicate_type.endsWith("review/v1"))' },
      { name: 'ceiling', cel: 'ceiling.bars[0].access == "rw" && !has(ceiling.ports)' },
    ],
  });
  const statements = [
    await tested('PASSED'),
    await tested('PASSED', second),
    await review('approved'),
  ];
  const verdict = await judge(policy, { statements });
  t.strictSame(failing(verdict), []);
  t.ok(passes(verdict));
  t.match(verdict, { epoch: 1, policy: 3, namespace: 'acme', level: 2, notJudged: [] });
  t.equal(verdict.rules.length, 15);
  t.strictSame(await judge(policy, { statements, crypto: nobleCrypto }), verdict);
  const words = JSON.stringify(explainPolicy(policy, NOW));
  for (const text of ['level 2', SOURCE, 'no other parameter', 'left-pad', 'GPL-3.0-only'])
    t.ok(words.includes(text), text);
});

type Row = [name: string, rule: JsonObject, reason: string, given?: Given];

/** Bills of EDU in the formats that its sidecar has not, with one package more. */
function* otherBills(purl: string): Generator<[type: string, bill: JsonObject]> {
  const component = { purpose: 'library', facts: [], needs: [] } as const;
  const bill: Bill = {
    created: NOW,
    components: [
      { ...component, id: 'edu', name: 'edu', sha256: EDU.sha256 },
      { ...component, id: 'part', name: 'part', purl },
    ],
    files: [],
    otherLicences: [],
  };
  for (const [type, write] of [
    [PREDICATE_TYPES.spdx3, writeSpdx3],
    [PREDICATE_TYPES.cyclonedx, writeCycloneDx],
  ] as const)
    yield [type, JSON.parse(textOf(write(bill, EDU.sha256)))];
}

t.test('each rule refuses for its own reason', async (t) => {
  const commit = {
    ...PROVENANCE,
    buildDefinition: {
      ...(PROVENANCE.buildDefinition as JsonObject),
      resolvedDependencies: [
        { uri: 'git+ssh://git@evil.example/x@main', digest: { gitCommit: 'ab' } },
      ],
    },
  };
  const licensed = (text: string) => (document: { packages: { licenseDeclared: string }[] }) => {
    for (const one of document.packages) one.licenseDeclared = text;
  };
  const purl = (text: string) => (document: { packages: { externalRefs: object }[] }) => {
    for (const one of document.packages)
      one.externalRefs = [
        {
          referenceCategory: 'PACKAGE-MANAGER',
          referenceType: 'purl',
          referenceLocator: text,
        },
      ];
  };
  const unlisted = { forbid: ['pkg:npm/left-pad'], without_purl: 'refuse' };
  const rows: Row[] = [
    ['another builder', builder(2, { id: 'https://builder.example/v1' }), 'builder'],
    ["a builder that only another's key may claim", builder(2, { signers: ['lab'] }), 'builder'],
    ['a level too low', { ...builder(1), minimum_level: 2 }, 'level'],
    ['a level of no known builder', { minimum_level: 2 }, 'level'],
    ['another build type', { build_types: [BUILD_TYPES.apply] }, 'build-type'],
    ['another source', { sources: ['git+https://git.acme.example/ed'] }, 'source'],
    ['a second source', { sources: [SOURCE] }, 'source', { provenance: commit }],
    ['an unknown external parameter', { external_parameters: {} }, 'parameter'],
    ['another value of one', { external_parameters: { source: { equals: SOURCE } } }, 'parameter'],
    [
      'one that is missing',
      { external_parameters: { source: { any: true }, target: { any: true } } },
      'parameter',
    ],
    [
      'a predicate that is missing',
      { predicates: [{ type: 'test-result', signers: ['lab'] }] },
      'predicate',
    ],
    [
      'tests that failed',
      { predicates: [{ type: 'test-result', signers: ['lab'] }] },
      'predicate',
      { statements: [await tested('FAILED')] },
    ],
    [
      'tests of a laboratory that was not asked',
      { predicates: [{ type: 'test-result', signers: ['second'] }] },
      'predicate',
      { statements: [await tested('PASSED')] },
    ],
    [
      'one laboratory twice where two must',
      { predicates: [{ type: 'test-result', signers: ['lab', 'second'], least: 2 }] },
      'predicate',
      { statements: [await tested('PASSED'), await tested('PASSED')] },
    ],
    ['no review', { reviews: { signers: ['lab'] } }, 'review'],
    [
      'a review that says no',
      { reviews: { signers: ['lab'] } },
      'review',
      { statements: [await review('rejected')] },
    ],
    [
      'a review by the vendor itself',
      { reviews: { signers: ['lab'] } },
      'review',
      { statements: [await review('approved', acme)] },
    ],
    ['no licence', { sbom: { allow_licences: ['MIT'] } }, 'licence'],
    [
      'a licence that is not allowed',
      { sbom: { allow_licences: ['MIT'] } },
      'licence',
      { sbom: licensed('MIT AND GPL-2.0-only') },
    ],
    [
      'a licence that is denied',
      { sbom: { deny_licences: ['GPL-2.0-only'] } },
      'licence',
      { sbom: licensed('GPL-2.0-only') },
    ],
    [
      'text that is no licence',
      { sbom: { deny_licences: ['GPL-2.0-only'] } },
      'licence',
      { sbom: licensed('as you like') },
    ],
    [
      'no licence, where nothing else is said of them',
      { sbom: { without_licence: 'refuse' } },
      'licence',
    ],
    ['no package URL, the same', { sbom: { without_purl: 'refuse' } }, 'component'],
    [
      'a denied licence with an exception',
      { sbom: { deny_licences: ['GPL-2.0-only'] } },
      'licence',
      { sbom: licensed('GPL-2.0-only WITH Linux-syscall-note') },
    ],
    [
      'a denied licence or later',
      { sbom: { deny_licences: ['LGPL-2.1'] } },
      'licence',
      { sbom: licensed('LGPL-2.1+ OR LGPL-2.1') },
    ],
    ['no package URL', { sbom: unlisted }, 'component'],
    [
      'a forbidden component, of any version',
      { sbom: unlisted },
      'component',
      { sbom: purl('pkg:npm/left-pad@9.9.9') },
    ],
    ...(await Promise.all(
      [...otherBills('pkg:npm/left-pad@1.0.0')].map(
        async ([type, bill]): Promise<Row> => [
          `a forbidden component in a statement ${type}`,
          { sbom: { ...unlisted, without_purl: 'allow' } },
          'component',
          { statements: [await statement(type, bill, acme)] },
        ],
      ),
    )),
    ['text that is no package URL', { sbom: unlisted }, 'component', { sbom: purl('pkg:') }],
    [
      'the same where packages without one are let through',
      { sbom: { ...unlisted, without_purl: 'allow' } },
      'component',
      { sbom: purl('PKG:npm/left-pad@9.9.9') },
    ],
    [
      'a forbidden component with a slash too many',
      { sbom: { ...unlisted, without_purl: 'allow' } },
      'component',
      { sbom: purl('pkg:npm//left-pad@9.9.9') },
    ],
    [
      'a forbidden component that does not say of which architecture it is',
      { sbom: { forbid: ['pkg:deb/debian/x?arch=arm64'], without_purl: 'allow' } },
      'component',
      { sbom: purl('pkg:deb/debian/x@1') },
    ],
    ['an expression that is false', expression('artifact.length < 0'), 'expression'],
    ['an expression about nothing', expression('artifact.absent == 1'), 'expression'],
    ['an answer that is no answer', expression('artifact.length'), 'expression'],
    [
      'an expression that could take long',
      expression(
        'sbom.packages.all(a, sbom.packages.all(b, sbom.packages.all(c, a == b || b == c)))',
      ),
      'expression-cost',
      {
        sbom: (document) => {
          for (let i = 0; i < 300; i++)
            document.packages.push({ ...document.packages[0], SPDXID: `SPDXRef-${i}` });
        },
      },
    ],
  ];
  for (const [name, rule, reason, given] of rows) {
    const verdict = await judge(policyWith(rule), given);
    t.strictSame(
      failing(verdict).map(([, found]) => found),
      [reason],
      name,
    );
    const error = refused(t, () => requirePolicy(EDU.path, verdict), 'E_POLICY', name);
    t.equal(error.context.reason, reason);
    t.ok(error.hint);
  }
  const both = await judge(policyWith({ ...builder(0), minimum_level: 1, sources: ['x:y'] }));
  t.strictSame(failing(both), [
    ['minimum_level', 'level'],
    ['sources', 'source'],
  ]);
  t.match(refused(t, () => requirePolicy('x', both), 'E_POLICY', 'both').why, /sources/);
});

t.test('a component is not forbidden by a qualifier that it does not have', async (t) => {
  const policy = policyWith({ sbom: { forbid: ['pkg:deb/debian/x?arch=arm64'] } });
  const found = async (text: string) =>
    failing(
      await judge(policy, {
        sbom: (document: { packages: { externalRefs: object[] }[] }) => {
          for (const one of document.packages)
            one.externalRefs = [{ referenceType: 'purl', referenceLocator: text }];
        },
      }),
    );
  t.strictSame(await found('pkg:deb/debian/x@1?arch=amd64'), []);
  t.strictSame(await found('pkg:deb/debian/x@1?arch=arm64'), [['sbom.forbid', 'component']]);
});

function expression(cel: string): JsonObject {
  return { expressions: [{ name: 'a rule', cel }] };
}

t.test('the first rule that names the driver decides, alone', async (t) => {
  const rules = [
    { namespace: 'acme/ed', minimum_level: 3 },
    { namespace: 'acme/edu/1.0.0' },
    { namespace: '*', minimum_level: 3 },
  ];
  const verdict = await judge(parseHostPolicy(bytesOf(document(rules))));
  t.equal(verdict.namespace, 'acme/edu/1.0.0');
  t.ok(passes(verdict));
  t.strictSame(failing(await judge(parseHostPolicy(bytesOf(document(rules.slice(2)))))), [
    ['minimum_level', 'level'],
  ]);
  const none = parseHostPolicy(bytesOf(document([])));
  t.strictSame(failing(await judge(none)), [['otherwise', 'namespace']]);
  const lenient = document([], { evidence: { otherwise: 'default', rules: [] } });
  t.ok(passes(await judge(parseHostPolicy(bytesOf(lenient)))));
  const old = document([{ namespace: '*' }], { expires: '2030-01-31T12:00:00Z' });
  t.strictSame(failing(await judge(parseHostPolicy(bytesOf(old)))), [['expires', 'expired']]);
});

t.test('several builders: the best accepted pair counts, and they must agree', async (t) => {
  const hosted = {
    ...PROVENANCE,
    runDetails: { builder: { id: 'https://builder.example/v1' } },
  };
  const policy = policyWith({
    builders: [
      { id: BUILDERS.byHand, signers: ['vendor'], level: 1 },
      { id: 'https://builder.example/v1', signers: ['lab'], level: 3 },
    ],
    minimum_level: 3,
  });
  const statements = [await provenanceLine(hosted, lab)];
  const verdict = await judge(policy, { statements, active: [acme.key, lab.key] });
  t.strictSame(failing(verdict), []);
  t.equal(verdict.level, 3);
  t.strictSame(
    failing(await judge(policy, { statements })),
    [['minimum_level', 'level']],
    'a key that the role of the vendor does not list vouches for no build',
  );
  const byVendor = [await provenanceLine(hosted)];
  t.strictSame(failing(await judge(policy, { statements: byVendor })), [
    ['minimum_level', 'level'],
  ]);
  const another = {
    ...hosted,
    buildDefinition: { ...(PROVENANCE.buildDefinition as JsonObject), externalParameters: {} },
  };
  await t.rejects(judge(policy, { statements: [await provenanceLine(another)] }), {
    code: 'E_EVIDENCE',
    context: { reason: 'disagree' },
  });
});

t.test('statements that contradict each other, or the files beside them', async (t) => {
  const policy = policyWith({});
  const sbom = JSON.parse(textOf(made.sbom));
  const inline = (value: JsonObject) => statement(PREDICATE_TYPES.spdx2, value, acme);
  const pairs: [string, Uint8Array[]][] = [
    ['two results', [await tested('PASSED'), await tested('FAILED', second)]],
    ['two reviews', [await review('approved'), await review('rejected', second)]],
    [
      'two releases',
      [
        await statement(PREDICATE_TYPES.release, { purl: 'pkg:generic/acme/edu@1.0.0' }, acme),
        await statement(PREDICATE_TYPES.release, { purl: 'pkg:generic/acme/edu@1.0.1' }, acme),
      ],
    ],
    ['another SBOM', [await inline({ ...sbom, name: 'x' })]],
    ['another ceiling', [await statement(PREDICATE_TYPES.ceiling, { schema: 'x' }, acme)]],
  ];
  for (const [name, statements] of pairs) {
    await t.rejects(
      judge(policy, { statements }),
      { code: 'E_EVIDENCE', context: { reason: 'disagree' } },
      name,
    );
  }
  t.ok(passes(await judge(policy, { statements: [await inline(sbom)] })), 'the same SBOM');
  const byNobody = [await tested('FAILED', other), await tested('PASSED')];
  t.ok(
    passes(await judge(policy, { statements: byNobody })),
    'what nobody known signed is nothing',
  );
});

t.test('a file that is no JSON is told by line and column', async (t) => {
  const message = (text: string): string =>
    refused(t, () => parseHostPolicy(utf8(text)), 'E_CONFIG', text).message;
  t.match(message('x'), / at byte 0 \(line 1, column 1\)$/);
  t.match(message('{\n "a": 1,\n "a": 2}\n'), / at byte \d+ \(line 3, column 2\)$/);
  t.match(message('{\n\n\n'), /the text ends: .* at byte 4 \(line 4, column 1\)$/);
  t.match(message('{"schema":"x"}'), /policy\.schema[^(]*$/, 'and only then');
  const name = () => policyWith(expression('artefact.length > 1'));
  t.match(
    refused(t, name, 'E_CONFIG', 'name').message,
    /artefact; there are artifact, provenance, sbom, ceiling, statements/,
  );
});

t.test('a policy is read strictly', async (t) => {
  const good = () => document([{ namespace: 'acme' }]);
  t.equal(parseHostPolicy(bytesOf(good())).evidence.rules.length, 1);
  const rule = (change: JsonObject) => document([{ namespace: 'acme', ...change }]);
  const rows: [string, JsonValue][] = [
    ['no object', []],
    ['another schema', { ...good(), schema: 'ironport.host-policy/v2' }],
    ['an unknown section', { ...good(), evidnce: {} }],
    ['no version', { ...good(), version: 0 }],
    ['a key called vendor', { ...good(), keys: { vendor: keyObject(lab.key) } }],
    ['a key twice', { ...good(), keys: { a: keyObject(lab.key), b: keyObject(lab.key) } }],
    [
      'a key of an unknown kind',
      { ...good(), keys: { a: { keytype: 'x', scheme: 'x', keyval: { public: '' } } } },
    ],
    ['no otherwise', { ...good(), evidence: { rules: [] } }],
    ['an unknown field of a rule', rule({ minimum_levle: 2 })],
    ['a namespace of half a name', document([{ namespace: 'acme/' }])],
    ['a rule that another one hides', document([{ namespace: 'acme' }, { namespace: 'acme/edu' }])],
    ['a rule behind that for all', document([{ namespace: '*' }, { namespace: 'acme' }])],
    ['a rule twice', document([{ namespace: 'acme' }, { namespace: 'acme' }])],
    ['a source at a ref', rule({ sources: ['git+https://git.acme.example/edu@refs/tags/v1'] })],
    ['nothing about the SBOM', rule({ sbom: {} })],
    ['a level that there is not', rule({ minimum_level: 4 })],
    ['an unknown signer', rule(builder(1, { signers: ['nobody'] }))],
    ['no signer', rule(builder(1, { signers: [] }))],
    ['a signer twice', rule(builder(1, { signers: ['lab', 'lab'] }))],
    ['more signatures than signers', rule({ reviews: { signers: ['lab'], least: 2 } })],
    ['no signature', rule({ reviews: { signers: ['lab'], least: 0 } })],
    ['a parameter with two rules', rule({ external_parameters: { a: { any: true, equals: 1 } } })],
    ['a parameter with none', rule({ external_parameters: { a: {} } })],
    ['any that is not', rule({ external_parameters: { a: { any: false } } })],
    ['a type that is no URI', rule({ predicates: [{ type: 'tests', signers: ['lab'] }] })],
    ['a licence that there is not', rule({ sbom: { allow_licences: ['Mine'] } })],
    ['a forbidden nothing', rule({ sbom: { forbid: ['left-pad'] } })],
    ['no CEL', rule(expression('artifact.'))],
    ['a number', rule(expression('1 + 1'))],
    ['an unknown name', rule(expression('artefact.length > 1'))],
    ['a regular expression', rule(expression('artifact.path.matches("(a+)+$")'))],
    ['a function of time', rule(expression('timestamp("2030-01-01T00:00:00Z") != null'))],
    ['a name bound', rule(expression('cel.bind(a, 1, a == 1)'))],
    ['text that grows', rule(expression('["a"].map(x, x + x).map(x, x + x).size() == 1'))],
    ['a deep one', rule(expression(`${'('.repeat(300)}true${')'.repeat(300)}`))],
    ['a wide one', rule(expression(Array(300).fill('true').join('&&')))],
    ['a long one', rule(expression(`"${'x'.repeat(POLICY_LIMITS.expression)}" == "x"`))],
    ['not in the end', rule(expression('true || '))],
  ];
  for (const [name, value] of rows)
    refused(t, () => parseHostPolicy(bytesOf(value)), 'E_CONFIG', name);
  const text = textOf(bytesOf(good()));
  const twice = text.replace('"version"', '"version":2,"version"');
  refused(t, () => parseHostPolicy(utf8(twice)), 'E_CONFIG', 'a key twice');
  refused(t, () => parseHostPolicy(utf8(text.slice(0, -1))), 'E_CONFIG', 'cut');
  refused(t, () => parseHostPolicy(utf8('['.repeat(1000))), 'E_CONFIG', 'nested');
  const huge = new Uint8Array(POLICY_LIMITS.file + 1);
  refused(t, () => parseHostPolicy(huge), 'E_CONFIG', 'huge');
  t.ok(isJsonObject(good()));
});

t.test('the example of the reference is a policy', async (t) => {
  const page = readFileSync(
    new URL('../../docs/reference/host-policy.md', import.meta.url),
    'utf8',
  );
  const [, example = ''] = /```json\n([^`]*)```/.exec(page) ?? [];
  const [rule] = parseHostPolicy(utf8(example.replace('…', toHex(lab.key.bytes)))).evidence.rules;
  t.equal(rule?.summaries.length, 1);
  t.equal(rule?.expressions.length, 1);
});

t.test('a policy is explained so that nobody has to know its fields', async (t) => {
  const policy = policyWith({
    ...builder(2),
    minimum_level: 3,
    predicates: [{ type: 'test-result', signers: ['lab', 'second'], least: 2 }],
    reviews: { signers: ['lab'] },
    sbom: {
      allow_licences: ['MIT', 'ISC'],
      deny_licences: ['AGPL-3.0-only'],
      forbid: ['pkg:npm/x'],
    },
  });
  t.strictSame(explainPolicy(policy, NOW).rules[0]?.demands, [
    `built by ${BUILDERS.byHand} signed by vendor (level 2 at most)`,
    'SLSA build level 3 or more: which none of these builders is worth',
    `a statement ${PREDICATE_TYPES.testResult} that says PASSED, signed by 2 of lab, second`,
    'a review that approves it, signed by lab',
    'each package usable under these licences alone: MIT, ISC',
    'no package that needs the licence AGPL-3.0-only',
    'packages without a licence: refused',
    'without the component pkg:npm/x',
    'packages without a package URL: refused',
  ]);
  t.strictSame(
    explainPolicy(policyWith({ minimum_level: 1 }), NOW).rules[0]?.demands,
    ['SLSA build level 1 or more'],
    'as every provenance has it',
  );
  const [level] = explainPolicy(policyWith({ minimum_level: 2 }), NOW).rules[0]?.demands ?? [];
  t.match(level, /which none has, since a builder that no rule names is worth level 1/);
  t.strictSame(explainPolicy(policyWith({}, { epoch: 2 }), NOW).head, [
    'version 3 of epoch 2',
    'does not expire',
    'keys of others: lab, second',
  ]);
  t.equal(explainPolicy(policyWith({}), NOW).head[0], 'version 3 of epoch 1', 'also the first one');
  const over = policyWith({}, { expires: formatInstant(NOW) });
  t.match(explainPolicy(over, NOW).head[1], /^was good until .*: it refuses every driver$/);
  t.match(explainPolicy(over, NOW - 1).head[1], /^good until /);
});

t.test(
  'a refusal says what would have been taken, and who signed by the name in the policy',
  async (t) => {
    const policy = policyWith({
      build_types: [BUILD_TYPES.apply],
      sources: ['git+https://elsewhere.example/edu'],
      external_parameters: { source: { one_of: ['a', 'b'] } },
      predicates: [{ type: 'test-result', signers: ['lab'] }],
    });
    const { rules } = await judge(policy, { statements: [await tested('PASSED')] });
    t.match(
      rules.map(({ rule, evidence }) => [rule, evidence]),
      [
        ['default', String],
        ['build_types', `taken: ${BUILD_TYPES.apply}`],
        ['sources', 'taken: git+https://elsewhere.example/edu'],
        ['external_parameters', /^"git.*; taken: "a", "b"$/],
        ['predicates[0]', /^line 2, by lab \(ed25519 /],
      ],
    );
    const [, built] = (await judge(policyWith(builder(2, { signers: ['lab'] })))).rules;
    t.match(
      built?.evidence,
      /^line 1: \S+, signed by vendor \(ed25519 \w+\); taken: \S+ signed by lab$/,
    );
    const cel = 'artifact.generation > 1 || artifact.vendor == "x" || artifact.generation > 7';
    const [, told] = (await judge(policyWith(expression(cel)))).rules;
    t.equal(told?.evidence, `${cel}; artifact.generation is 1; artifact.vendor is "acme"`);
    const loop = 'sbom.packages.all(p, p.name == artifact.vendor) && has(sbom.more)';
    const [, looped] = (await judge(policyWith(expression(loop)))).rules;
    t.equal(looped?.evidence, `${loop}; artifact.vendor is "acme"`);
    const licences = await judge(policyWith({ sbom: { without_licence: 'allow' } }));
    t.match(licences.notJudged, [/builder/, /components .* says nothing/]);
  },
);

t.test('names from outside are data in expressions, whatever they are called', async (t) => {
  const predicate = {
    ...PROVENANCE,
    buildDefinition: {
      buildType: BUILD_TYPES.byHand,
      externalParameters: JSON.parse('{"__proto__":"a","constructor":"b","source":"x:y"}'),
    },
  };
  const parameter = (name: string, value: string) =>
    expression(`provenance.external_parameters["${name}"] == "${value}"`);
  for (const [name, value] of [
    ['__proto__', 'a'],
    ['constructor', 'b'],
  ] as const) {
    const verdict = await judge(policyWith(parameter(name, value)), { provenance: predicate });
    t.strictSame(failing(verdict), [], name);
  }
  const absent = await judge(policyWith(expression('has(artifact.toString)')));
  t.strictSame(failing(absent), [['expressions[0]', 'expression']]);
  const long = {
    ...PROVENANCE,
    buildDefinition: {
      buildType: BUILD_TYPES.byHand,
      externalParameters: { source: `x:${'y'.repeat(POLICY_LIMITS.text)}` },
    },
  };
  t.strictSame(failing(await judge(policyWith(expression('true')), { provenance: long })), [
    ['expressions[0]', 'expression-cost'],
  ]);
});
