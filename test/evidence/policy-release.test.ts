/** A release that a policy demands is held to the target path, as far as its names can contradict it. */

import t from 'tap';
import { PREDICATE_TYPES } from '../../shared/evidence/identifiers.ts';
import { explainPolicy } from '../../shared/evidence/policy/explain.ts';
import { requirePolicy } from '../../shared/evidence/policy/verdict.ts';
import { parsePurl } from '../../shared/evidence/purl.ts';
import { releaseContradicts } from '../../shared/evidence/release-names.ts';
import { failing, judge, lab, policyWith, second, statement } from './policy-support.ts';
import { acme, EDU, NOW, refused } from './support.ts';

const RULE = { predicates: [{ type: 'release', signers: ['vendor'] }] };
const release = (purl: string, signer = acme) =>
  statement(PREDICATE_TYPES.release, { purl }, signer);

/** `acme/edu/1.0.0/edu.js`, in every way in which a release may name it. */
const TAKEN = [
  'pkg:generic/acme/edu@1.0.0',
  'pkg:GENERIC/acme/edu@1.0.0',
  'pkg:generic/edu@1.0.0',
  'pkg:generic/acme/drivers/edu@1.0.0',
  'pkg:generic/acme/edu@1.0.0#edu.js',
  'pkg:generic/ac%6de/edu@1%2E0.0',
  'pkg:generic/acme/edu@1.0.0?download_url=https://files.acme.example/other-2.0.0.js',
  'pkg:npm/%40other/name@1.0.0',
  'pkg:maven/org.other/name@1.0.0',
  'pkg:deb/debian/edu-dkms@1:2.0.0-3',
  'pkg:rpm/fedora/edu@2.0.0-1.fc42',
  'pkg:oci/edu@sha256%3A0000?repository_url=registry.acme.example/edu&tag=v1',
  'pkg:github/other/name@0123456789abcdef',
  'pkg:golang/acme.example/edu@v1.0.0',
];

/** And names that are of something else, with what a person is told. */
const OTHERS: readonly (readonly [purl: string, told: RegExp])[] = [
  ['pkg:generic/acme/edu@1.0.1', /its version is "1\.0\.1", and here it is "1\.0\.0"/],
  ['pkg:generic/acme/edu@1.0', /its version/],
  ['pkg:generic/acme/edu@1.0.0-rc1', /its version/],
  ['pkg:generic/acme/edu@sha256:00', /its version/],
  ['pkg:npm/%40acme/edu@0.9.0', /its version is "0\.9\.0"/],
  ['pkg:pypi/edu@1.0', /its version/],
  ['pkg:generic/other/edu@1.0.0', /its vendor is "other", and here it is "acme"/],
  ['pkg:generic/ACME/edu@1.0.0', /its vendor/],
  ['pkg:generic/drivers/acme/edu@1.0.0', /its vendor is "drivers"/],
  ['pkg:generic/acme-x/edu@1.0.0', /its vendor/],
  ['pkg:generic/%20/edu@1.0.0', /its vendor/],
  ['pkg:generic/acme/other@1.0.0', /its product is "other", and here it is "edu"/],
  ['pkg:generic/acme/edu%2Flite@1.0.0', /its product/],
  ['pkg:generic/acme/Edu@1.0.0', /its product/],
  ['pkg:generic/acme/edu@1.0.0#other.js', /its file is "other\.js", and here it is "edu\.js"/],
];

t.test('what contradicts the path, and what cannot', async (t) => {
  const contradicts = (text: string): string | undefined => {
    const purl = parsePurl(text);
    if (purl === undefined) throw new Error(`${text} is no package URL`);
    return releaseContradicts(purl, EDU.path);
  };
  for (const purl of TAKEN) t.equal(contradicts(purl), undefined, purl);
  for (const [purl, told] of OTHERS) t.match(contradicts(purl), told, purl);
});

t.test('a policy takes the release of this driver and refuses that of another', async (t) => {
  const policy = policyWith(RULE);
  for (const purl of TAKEN)
    t.strictSame(failing(await judge(policy, { statements: [await release(purl)] })), [], purl);
  for (const [purl, told] of OTHERS) {
    const verdict = await judge(policy, { statements: [await release(purl)] });
    t.strictSame(failing(verdict), [['predicates[0]', 'release']], purl);
    const error = refused(t, () => requirePolicy(EDU.path, verdict), 'E_POLICY', purl);
    t.match(error.why, told);
    t.match(error.why, /line 2 is the release of pkg:/);
  }
  t.match(explainPolicy(policy, NOW).rules[0]?.demands, [/ of this driver and version, signed by/]);
});

t.test('the reason is its own only where the release would have counted', async (t) => {
  const policy = policyWith({ predicates: [{ type: 'release', signers: ['lab'] }] });
  const predicate = [['predicates[0]', 'predicate']];
  t.strictSame(failing(await judge(policy)), predicate, 'there is none');
  const wrong = 'pkg:generic/acme/other@1.0.0';
  const right = 'pkg:generic/acme/edu@1.0.0';
  const by = async (signer: typeof acme, purl: string) =>
    failing(await judge(policy, { statements: [await release(purl, signer)] }));
  t.strictSame(await by(second, wrong), predicate, 'somebody else says so, whom nobody asked');
  t.strictSame(await by(second, right), predicate);
  t.strictSame(await by(lab, wrong), [['predicates[0]', 'release']]);
  t.strictSame(await by(lab, right), []);
  // No version at all is no release (release/v0.1), and a line that is none counts for nothing.
  t.strictSame(await by(lab, 'pkg:generic/acme/edu'), predicate);
  t.strictSame(await by(lab, 'acme/edu@1.0.0'), predicate);
  const unasked = await judge(policyWith({}), { statements: [await release(wrong)] });
  t.strictSame(failing(unasked), [], 'a release that no rule demands decides nothing');
});

t.test('two releases of one artifact that differ are no choice', async (t) => {
  const statements = [await release(OTHERS[0]?.[0] ?? ''), await release(TAKEN[0] ?? '', lab)];
  await t.rejects(judge(policyWith(RULE), { statements }), { code: 'E_EVIDENCE' });
});
