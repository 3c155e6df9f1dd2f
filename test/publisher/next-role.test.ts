import t from 'tap';
import { nextRole, renewedRole, saysTheSame } from '../../publisher/next-role.ts';
import { buildEvidenceKeys, parseEvidenceKeys } from '../../shared/evidence/keys.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { DAY } from '../../shared/time.ts';
import { formatMetadata, targetEntry, targetsTree, withFields } from '../../shared/tuf/build.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import { codeOf, NOW } from '../ceremony/support.ts';
import { testKey } from '../support/keys.ts';

const EXPIRES = NOW + 90 * DAY;
const key = testKey('evidence').key;
const entry = (digit: string): JsonObject => targetEntry({ length: 1, sha256: digit.repeat(64) });
const change = (...entries: [string, JsonObject][]) => ({
  entries: new Map(entries),
  evidenceKeys: [key],
  expires: EXPIRES,
});
const read = (tree: JsonObject): Targets => parseTargets(formatMetadata(tree, new Map()), 'acme');

t.test('the first version is 1 and lists the evidence key', async (t) => {
  const role = read(nextRole(undefined, change(['acme/e/1/f', entry('a')])));
  t.equal(role.version, 1);
  t.equal(role.expires, EXPIRES);
  t.same(role.paths(), ['acme/e/1/f']);
  t.same(parseEvidenceKeys(role.envelope.signed), { active: [key], retired: [] });
});

t.test('the next version keeps all that it was not told to change', async (t) => {
  const other = testKey('other').key;
  const retired = testKey('retired').key;
  const base = read(
    withFields(
      targetsTree(7, NOW, {
        targets: new Map([['acme/e/1/f', entry('a')]]),
        extra: {
          'x-ironport': { ...buildEvidenceKeys({ active: [other], retired: [retired] }), more: 1 },
          'x-else': 'kept',
        },
      }),
      {},
    ),
  );
  const role = read(nextRole(base, change(['acme/e/2/f', entry('b')])));
  t.equal(role.version, 8);
  t.same(role.paths(), ['acme/e/1/f', 'acme/e/2/f']);
  t.same(parseEvidenceKeys(role.envelope.signed), { active: [other, key], retired: [retired] });
  t.equal(role.envelope.signed.get('x-else').string(), 'kept');
  t.equal(role.envelope.signed.get('x-ironport').get('more').integer(), 1);

  const wrong = { ...change(), evidenceKeys: [retired] };
  t.equal(await codeOf(() => nextRole(base, wrong)), 'E_KEY');
});

t.test('a path that was published keeps its bytes', async (t) => {
  const base = read(nextRole(undefined, change(['acme/e/1/f', entry('a')])));
  t.equal(await codeOf(() => nextRole(base, change(['acme/e/1/f', entry('b')]))), 'E_EXISTS');
  t.equal(
    await codeOf(() => nextRole(base, change(['acme/e/1/f', entry('a')]))),
    'E_NOTHING_TO_DO',
  );
});

t.test('a role that other clients would not read is not made', async (t) => {
  const entries = Array.from({ length: 40_000 }, (_, i): [string, JsonObject] => [
    `acme/e/${i}/f`,
    entry('a'),
  ]);
  t.equal(await codeOf(() => nextRole(undefined, change(...entries))), 'E_TOO_LARGE');
});

t.test('a renewed role says the same', async (t) => {
  const base = read(nextRole(undefined, change(['acme/e/1/f', entry('a')])));
  const renewed = read(renewedRole(base, EXPIRES + DAY));
  t.equal(renewed.version, 2);
  t.equal(renewed.expires, EXPIRES + DAY);
  t.ok(saysTheSame(base, renewed));
  t.notOk(saysTheSame(base, read(nextRole(base, change(['acme/e/2/f', entry('a')])))));
  t.notOk(saysTheSame(base, read(withFields(base.envelope.tree, { x: 1 }))));
});
