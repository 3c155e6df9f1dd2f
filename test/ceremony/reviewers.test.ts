import t from 'tap';
import { withReviewers } from '../../server/ceremony/reviewers.ts';
import { demandSoundTargets } from '../../server/intake/checks/operator-targets.ts';
import type { Code } from '../../shared/errors.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { DAY } from '../../shared/time.ts';
import { formatMetadata, objectMember, withFields } from '../../shared/tuf/build.ts';
import { diffText, parseRoleFile, trustDiff } from '../../shared/tuf/diff/trust-diff.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { parseReviewers } from '../../shared/tuf/reviewers.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import { testKey } from '../support/keys.ts';
import { type Operators, signedTargets, testVendor } from '../support/repository.ts';
import { codeOf, NOW } from './support.ts';

const ACME = testVendor('acme');
const OPERATORS: Operators = { root: [], targets: [testKey('t1')], snapshot: [], timestamp: [] };
const read = (tree: JsonObject): Targets =>
  parseTargets(formatMetadata(tree, new Map()), 'targets');
const plain = async () => parseTargets(await signedTargets(OPERATORS, 1, [ACME]), 'targets');
const [ONE, TWO] = [testKey('reviewer 1').key, testKey('reviewer 2').key];
const id = (name: string): string => testKey(name).keyid.slice(0, 12);

function words(before: Targets, after: Targets): string {
  const file = ({ envelope }: Targets) =>
    parseRoleFile(formatMetadata(envelope.tree, new Map()), 'f');
  return diffText(trustDiff(crypto, file(before), file(after), NOW));
}

t.test('named, and said in words', async (t) => {
  const before = await plain();
  t.equal(parseReviewers(before.envelope.signed), undefined);
  const two = { keys: [ONE, TWO], threshold: 2 };
  const after = read(withReviewers(before, two, NOW + DAY));
  t.match(parseReviewers(after.envelope.signed), { threshold: 2 });
  t.equal(after.version, 2);
  const said = words(before, after);
  t.match(said, `+ the key ${id('reviewer 1')} (ed25519) may review what vendors hand in`);
  t.match(said, '~ an approval takes 2 of 2 reviewers');
  t.notMatch(said, 'x-ironport', 'nothing of it is left unsaid');
  t.equal(
    await codeOf(() => withReviewers(after, two, NOW + DAY)),
    'E_NOTHING_TO_DO',
    'the same again',
  );
  const fewer = read(withReviewers(after, { keys: [TWO], threshold: 1 }, NOW + DAY));
  t.match(words(after, fewer), `- the key ${id('reviewer 1')} (ed25519) may no longer review`);
  t.match(words(after, fewer), '~ an approval takes 1 of 1 reviewers');
  const none = read(withReviewers(after, undefined, NOW + DAY));
  t.match(words(after, none), 'nobody may review');
  t.same(none.envelope.tree['x-ironport'], before.envelope.tree['x-ironport'], 'vendors stay');
  t.match(demandSoundTargets(after), '1 vendor');
});

t.test('what can never agree is not written', async (t) => {
  const before = await plain();
  for (const [keys, threshold] of [
    [[ONE], 2],
    [[ONE, ONE], 2],
    [[ONE, TWO], 0],
    [[], 1],
  ] as const)
    t.equal(
      await codeOf(() => withReviewers(before, { keys, threshold }, NOW)),
      'E_SCHEMA',
      `${threshold} of ${keys.length}`,
    );
});

t.test('what somebody else wrote', async (t) => {
  const before = await plain();
  const bent = (field: JsonObject): Targets => {
    const extension = withFields(objectMember(before.envelope.tree, 'x-ironport'), {
      reviewers: field,
    });
    return read(withFields(before.envelope.tree, { 'x-ironport': extension }));
  };
  const field = (keys: readonly JsonObject[], threshold: number, more: [string, string][] = []) =>
    jsonObject([['keys', [...keys]], ['threshold', threshold], ...more]);
  const [one, two] = [keyObject(ONE), keyObject(TWO)];
  const strange = withFields(one, { scheme: 'later' });
  const cases: readonly [string, JsonObject, Code][] = [
    ['a key twice', field([one, one], 2), 'E_SCHEMA'],
    ['nobody needs to agree', field([one, two], 0), 'E_SCHEMA'],
    ['a field more', field([one], 1, [['also', 'x']]), 'E_SCHEMA'],
    ['too many', field(Array(33).fill(one), 1), 'E_SCHEMA'],
  ];
  for (const [what, it, code] of cases)
    t.equal(await codeOf(() => parseReviewers(bent(it).envelope.signed)), code, what);
  const after = bent(field([one, strange], 2));
  t.equal(parseReviewers(after.envelope.signed)?.keys.length, 1, 'an unknown kind counts nowhere');
  t.match(words(before, after), '2 reviewers must agree, and 1 keys are of use here');
  // The words would be wrong if the same keys with one more could not be told from those before.
  t.equal(parseReviewers(bent(field([one, two], 2)).envelope.signed)?.threshold, 2);
});

t.test('a vendor does not review', async (t) => {
  const before = await plain();
  for (const key of [ACME.api.key, ACME.tuf[0]?.key as typeof ONE]) {
    const tree = withReviewers(before, { keys: [ONE, key], threshold: 1 }, NOW + DAY);
    t.equal(await codeOf(() => demandSoundTargets(read(tree))), 'E_KEY');
  }
});
