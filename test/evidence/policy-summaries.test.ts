/** Verification summaries that a policy demands: each step of SLSA's verification refuses by itself. */

import t from 'tap';
import { PREDICATE_TYPES } from '../../shared/evidence/identifiers.ts';
import { explainPolicy } from '../../shared/evidence/policy/explain.ts';
import { requirePolicy } from '../../shared/evidence/policy/verdict.ts';
import { resourceUri, summaryPredicate } from '../../shared/evidence/vsa.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { EVIDENCE_LIMITS } from '../../shared/limits.ts';
import { DAY, formatInstant, HOUR } from '../../shared/time.ts';
import { failing, judge, lab, policyWith, second } from './policy-support.ts';
import { acme, artifactOf, EDU, envelopeOf, NOW, refused, statementOf } from './support.ts';

const VERIFIER = 'https://lab.example/verifier/v1';
const OTHER_VERIFIER = 'https://other.example/verifier/v1';
const RULE = {
  verifiers: [
    { id: VERIFIER, signers: ['lab'] },
    { id: OTHER_VERIFIER, signers: ['second'] },
  ],
  levels: ['SLSA_BUILD_LEVEL_2'],
};
const policyOf = (change: JsonObject = {}) => policyWith({ summaries: [{ ...RULE, ...change }] });

const CLAIM = {
  verifier: { id: VERIFIER, version: { checker: '3' } },
  timeVerified: formatInstant(NOW - 10 * DAY),
  resourceUri: 'pkg:generic/acme/edu@1.0.0#edu.js',
  policy: { uri: 'https://lab.example/policy', digest: { sha256: '00' } },
  inputAttestations: [],
  verificationResult: 'PASSED',
  verifiedLevels: ['SLSA_BUILD_LEVEL_3', 'CHECKED_BY_HAND'],
  slsaVersion: '1.2',
} satisfies JsonObject;
/** A member that is undefined is left out. */
type Change = { readonly [name: string]: JsonValue | undefined };

const summary = (
  change: Change = {},
  signer = lab,
  about = EDU,
  type: string = PREDICATE_TYPES.vsa,
) => envelopeOf(statementOf(about, type, { ...CLAIM, ...change } as JsonObject), signer);
const judged = async (policy: JsonObject, ...lines: Promise<Uint8Array>[]) =>
  judge(policyOf(policy), { statements: await Promise.all(lines) });
const REFUSED = [['summaries[0]', 'summary']];

t.test('a summary of which every step holds', async (t) => {
  const verdict = await judged({ max_age_days: 30 }, summary());
  t.strictSame(failing(verdict), []);
  t.match(verdict.rules.at(-1), {
    rule: 'summaries[0]',
    what: /^1 of the 1 signatures .* SLSA_BUILD_LEVEL_2$/,
    evidence:
      /^line 2, https:\/\/lab\.example\/verifier\/v1, SLSA_BUILD_LEVEL_3 .*, of 2030-01-21T12:00:00Z; by lab \(ed25519 \w+\)$/,
  });
  const minimal = { timeVerified: undefined, inputAttestations: undefined, slsaVersion: undefined };
  t.strictSame(failing(await judged({}, summary(minimal))), [], 'what is optional may be absent');
  const more = { ...CLAIM.verifier, more: 1 };
  t.strictSame(failing(await judged({}, summary({ verifier: more, x: {} }))), [], 'and unknown');
});

t.test('whatever somebody writes into a summary, a verdict stays short', async (t) => {
  const long = 'x'.repeat(100_000);
  const verifier = { id: `https://evil.example/${long.slice(0, 2000)}` };
  for (const [what, change] of [
    ['levels that are taken', { verifiedLevels: ['SLSA_BUILD_LEVEL_3', long] }],
    ['levels that are not', { verifiedLevels: [long] }],
    ['a verifier', { verifier }],
    ['a resource', { resourceUri: long }],
  ] as const) {
    const rule = (await judged({}, summary(change))).rules.at(-1);
    t.match(rule?.evidence, /…/, `${what}: it says that there is more`);
    t.ok((rule?.evidence.length ?? 0) < 1000, what);
  }
});

t.test('each step refuses, and says which', async (t) => {
  const elsewhere = artifactOf('acme/other/1.0.0/other.js');
  const rows: [name: string, told: RegExp, line: Promise<Uint8Array>, rule?: JsonObject][] = [
    ['step 1: signed by the vendor for the laboratory', /signed by vendor/, summary({}, acme)],
    ['step 2: about other bytes', /there is no verification summary/, summary({}, lab, elsewhere)],
    [
      'step 3: under another type',
      /there is no verification summary/,
      summary({}, lab, EDU, 'https://slsa.dev/verification_summary/v0.2'),
    ],
    [
      'step 4: another verifier',
      /the verifier https:\/\/evil\.example\/v1 is not one/,
      summary({ verifier: { id: 'https://evil.example/v1' } }),
    ],
    [
      "step 4: another verifier's word by this one's key",
      /signed by lab \(.*\), who does not speak for https:\/\/other/,
      summary({ verifier: { id: OTHER_VERIFIER } }),
    ],
    ["step 4: this verifier's word by another's key", /signed by second/, summary({}, second)],
    [
      'step 4: a verifier whose id only begins alike',
      /is not one of those/,
      summary({ verifier: { id: `${VERIFIER}/` } }),
    ],
    [
      'step 5: about another version',
      /it is about pkg:generic\/acme\/edu@1\.0\.1#edu\.js, and expected is pkg:generic\/acme\/edu@1\.0\.0#edu\.js/,
      summary({ resourceUri: 'pkg:generic/acme/edu@1.0.1#edu.js' }),
    ],
    ['step 5: about nothing', /expected is/, summary({ resourceUri: '' })],
    [
      'step 5: about what this policy does not expect',
      /expected is https:\/\/files\.example\/acme\/edu\/1\.0\.0\/edu\.js/,
      summary(),
      { resource_uri: 'https://files.example/{path}' },
    ],
    [
      'step 6: failed',
      /it says FAILED/,
      summary({ verificationResult: 'FAILED', verifiedLevels: ['FAILED'] }),
    ],
    ['step 6: failed, with levels', /it says FAILED/, summary({ verificationResult: 'FAILED' })],
    [
      'step 7: a level too low',
      /it says SLSA_BUILD_LEVEL_1, and not SLSA_BUILD_LEVEL_2/,
      summary({ verifiedLevels: ['SLSA_BUILD_LEVEL_1'] }),
    ],
    ['step 7: no level', /it says no level/, summary({ verifiedLevels: [] })],
    [
      'step 7: another track',
      /and not SLSA_BUILD_LEVEL_2/,
      summary({ verifiedLevels: ['SLSA_SOURCE_LEVEL_4'] }),
    ],
    [
      'step 7: not evaluated',
      /and not SLSA_BUILD_LEVEL_2/,
      summary({ verifiedLevels: ['SLSA_BUILD_LEVEL_UNEVALUATED'] }),
    ],
    [
      'step 7: one of two',
      /and not CHECKED_TWICE/,
      summary(),
      { levels: ['SLSA_BUILD_LEVEL_2', 'CHECKED_TWICE'] },
    ],
    [
      'in the future',
      /verified in the future, at 2030-01-31T12:00:01Z/,
      summary({ timeVerified: formatInstant(NOW + 1) }),
    ],
    ['too old', /more than 9 days ago/, summary(), { max_age_days: 9 }],
    [
      'of no time, where an age is demanded',
      /it does not say when/,
      summary({ timeVerified: undefined }),
      { max_age_days: 9 },
    ],
  ];
  for (const [name, told, line, rule = {}] of rows) {
    const verdict = await judged(rule, line);
    t.strictSame(failing(verdict), REFUSED, name);
    const error = refused(t, () => requirePolicy(EDU.path, verdict), 'E_POLICY', name);
    t.equal(error.context.reason, 'summary');
    t.match(error.why, told, name);
  }
  t.strictSame(failing(await judged({})), REFUSED, 'and none at all');
});

t.test('a summary that is none counts for nothing', async (t) => {
  const forms: [name: string, change: Change][] = [
    ['no verifier', { verifier: undefined }],
    ['a verifier that is a text', { verifier: VERIFIER }],
    ['a verifier that is no URI', { verifier: { id: 'lab' } }],
    ['no resource', { resourceUri: undefined }],
    ['no policy', { policy: {} }],
    ['no result', { verificationResult: undefined }],
    ['a result in lower case', { verificationResult: 'passed' }],
    [
      'the result under the name that a draft had',
      { verificationResult: undefined, slsaResult: 'PASSED' },
    ],
    ['no levels', { verifiedLevels: undefined }],
    ['a level that is a text', { verifiedLevels: 'SLSA_BUILD_LEVEL_3' }],
    ['passed and failed', { verifiedLevels: ['SLSA_BUILD_LEVEL_3', 'FAILED'] }],
    ['two levels of a track', { verifiedLevels: ['SLSA_BUILD_LEVEL_0', 'SLSA_BUILD_LEVEL_3'] }],
    [
      'a level of a track, and none of it',
      { verifiedLevels: ['SLSA_BUILD_LEVEL_UNEVALUATED', 'SLSA_BUILD_LEVEL_3'] },
    ],
    ['a time that is none', { timeVerified: 'yesterday' }],
    ['a time of nowhere', { timeVerified: null }],
    [
      'more levels than anybody has',
      {
        verifiedLevels: ['SLSA_BUILD_LEVEL_3', ...Array(EVIDENCE_LIMITS.verifiedLevels).fill('X')],
      },
    ],
  ];
  for (const [name, change] of forms)
    t.strictSame(failing(await judged({}, summary(change))), REFUSED, name);
  t.strictSame(failing(await judged({}, summary({ verifiedLevels: undefined }), summary())), []);
});

t.test('levels imply those below them on their track, and nothing else', async (t) => {
  const says = async (demanded: string, ...found: string[]) =>
    failing(await judged({ levels: [demanded] }, summary({ verifiedLevels: found }))).length === 0;
  t.ok(await says('SLSA_BUILD_LEVEL_2', 'SLSA_BUILD_LEVEL_2'));
  t.ok(await says('SLSA_BUILD_LEVEL_0', 'SLSA_BUILD_LEVEL_3'));
  t.ok(await says('SLSA_SOURCE_LEVEL_1', 'SLSA_BUILD_LEVEL_1', 'SLSA_SOURCE_LEVEL_4'));
  t.ok(await says('SLSA_BUILD_LEVEL_UNEVALUATED', 'SLSA_BUILD_LEVEL_UNEVALUATED'));
  t.ok(await says('SLSA_BUILD_REPRODUCED', 'SLSA_BUILD_LEVEL_1', 'SLSA_BUILD_REPRODUCED'));
  t.notOk(await says('SLSA_BUILD_LEVEL_UNEVALUATED', 'SLSA_BUILD_LEVEL_3'), 'that is agreed upon');
  t.notOk(await says('SLSA_BUILD_LEVEL_0', 'SLSA_BUILD_LEVEL_UNEVALUATED'));
  t.notOk(await says('SLSA_BUILD_LEVEL_1', 'slsa_build_level_3'));
  t.notOk(await says('SLSA_BUILD_LEVEL_1', 'SLSA_BUILD_LEVEL_3 '));
  t.notOk(await says('CHECKED', 'CHECKED_LEVEL_3'));
});

t.test('several must say so, and each word is one key', async (t) => {
  const two = { least: 2 };
  const other = summary({ verifier: { id: OTHER_VERIFIER } }, second);
  t.strictSame(failing(await judged(two, summary(), other)), []);
  t.strictSame(failing(await judged(two, summary(), summary({ slsaVersion: '1.1' }))), REFUSED);
  const one = await judged(two, summary(), summary({}, second));
  t.match(one.rules.at(-1), {
    what: /^1 of the 2 signatures/,
    evidence: /^line 2, .*; by lab .*; line 3: signed by second/,
  });
});

t.test('a summary that says no does not undo another that says yes', async (t) => {
  const failed = summary({ verificationResult: 'FAILED', verifiedLevels: ['FAILED'] });
  t.strictSame(failing(await judged({}, failed, summary())), []);
});

t.test('where a policy expects the resource, names are put in as a URI has them', async (t) => {
  const path = 'acme/edu/1.0.0+b~1/edu.js';
  t.equal(resourceUri(path), 'pkg:generic/acme/edu@1.0.0%2Bb~1#edu.js');
  const about = async (resource: string, expected: string) =>
    failing(await judged({ resource_uri: resource }, summary({ resourceUri: expected }))).length ===
    0;
  t.ok(await about('https://a.example/{path}', 'https://a.example/acme/edu/1.0.0/edu.js'));
  t.ok(
    await about(
      'https://a.example/{vendor}-{product}?v={version}',
      'https://a.example/acme-edu?v=1.0.0',
    ),
  );
  t.ok(await about('urn:x:{file}:{file}', 'urn:x:edu.js:edu.js'));
  t.notOk(await about('https://a.example/{path}', 'https://a.example/{path}'));
});

t.test('what a host of this project signs is such a summary', async (t) => {
  const verdict = { epoch: 1, policy: 3, namespace: 'acme', level: 3, rules: [], notJudged: [] };
  const own = summaryPredicate({
    artifact: EDU,
    verdict,
    time: NOW,
    policy: { uri: 'https://lab.example/policy', sha256: undefined },
    inputs: [],
  });
  const verifiers = [{ id: 'https://ironshim.dev/ironport/verifier/v1', signers: ['lab'] }];
  const line = envelopeOf(statementOf(EDU, PREDICATE_TYPES.vsa, own), lab);
  t.strictSame(failing(await judged({ verifiers, max_age_days: 1 }, line)), []);
});

t.test('the rule is read strictly', async (t) => {
  const rows: [name: string, change: Change][] = [
    ['no verifier', { verifiers: [] }],
    ['no verifiers', { verifiers: undefined }],
    ['a verifier that is no URI', { verifiers: [{ id: 'lab', signers: ['lab'] }] }],
    ['a verifier without signers', { verifiers: [{ id: VERIFIER, signers: [] }] }],
    ['an unknown signer', { verifiers: [{ id: VERIFIER, signers: ['nobody'] }] }],
    ['a verifier with a level', { verifiers: [{ id: VERIFIER, signers: ['lab'], level: 3 }] }],
    ['no levels', { levels: undefined }],
    ['an empty list of levels', { levels: [] }],
    ['a level that is a number', { levels: [3] }],
    ['a level that no summary passes with', { levels: ['FAILED'] }],
    ['a level beyond the track', { levels: ['SLSA_BUILD_LEVEL_4'] }],
    ['one beyond another track', { levels: ['SLSA_SOURCE_LEVEL_5'] }],
    ['a level with a blank', { levels: ['SLSA_BUILD_LEVEL_3 '] }],
    ['more keys than there are', { least: 3 }],
    ['no key', { least: 0 }],
    ['a resource that is no URI', { resource_uri: '{path}' }],
    ['a name that there is not', { resource_uri: 'https://a.example/{paht}' }],
    ['half a name', { resource_uri: 'https://a.example/{path' }],
    ['no age', { max_age_days: 0 }],
    ['an age of years', { max_age_days: 3651 }],
    ['an unknown field', { maximum_age: 1 }],
  ];
  for (const [name, change] of rows)
    refused(t, () => policyOf(change as JsonObject), 'E_CONFIG', name);
  const demanded = { predicates: [{ type: PREDICATE_TYPES.vsa, signers: ['lab'] }] };
  const error = refused(t, () => policyWith(demanded), 'E_CONFIG', 'by its type alone');
  t.match(error.message, /predicates\[0\]\.type: .* under "summaries", with their verifiers/);
});

t.test('it is explained', async (t) => {
  const words = (change: JsonObject) => explainPolicy(policyOf(change), NOW).rules[0]?.demands;
  t.strictSame(words({ least: 2, max_age_days: 30, levels: ['SLSA_BUILD_LEVEL_2', 'X'] }), [
    'a verification summary of pkg:generic/{vendor}/{product}@{version}#{file} that says PASSED and SLSA_BUILD_LEVEL_2 and X, ' +
      `by ${VERIFIER} signed by lab or ${OTHER_VERIFIER} signed by second, signed by 2 keys, at most 30 days old`,
  ]);
  t.match(words({}), [/ signed by second$/]);
});

t.test('time goes on', async (t) => {
  const line = { timeVerified: formatInstant(NOW - DAY) };
  t.strictSame(failing(await judged({ max_age_days: 1 }, summary(line))), [], 'a day is a day');
  const older = { timeVerified: formatInstant(NOW - DAY - 1) };
  t.strictSame(failing(await judged({ max_age_days: 1 }, summary(older))), REFUSED);
  const fraction = { timeVerified: `${formatInstant(NOW - HOUR).slice(0, -1)}.52Z` };
  t.strictSame(failing(await judged({ max_age_days: 1 }, summary(fraction))), []);
  t.strictSame(failing(await judged({}, summary({ timeVerified: formatInstant(NOW) }))), []);
});
