/** What an expression can cost is told before it is run: never too little, and not far too much. */

import t from 'tap';
import { compileExpression } from '../../shared/evidence/policy/cel.ts';
import type { JsonObject } from '../../shared/json/value.ts';

const P = 'sbom.packages';
const many = (count: number): string => Array(count).fill(P).join(' + ');

function facts(packages: number): JsonObject {
  return {
    artifact: { generation: 1, vendor: 'acme', file: 'edu.js' },
    provenance: { sources: ['git+https://git.example/edu'], external_parameters: { a: 'b' } },
    statements: [{ predicate_type: 'x:y', signatures: 1 }],
    ceiling: { bars: [{ index: 0, access: 'rw' }] },
    sbom: {
      format: 'spdx',
      packages: Array.from({ length: packages }, (_, i) => ({
        name: `package-${i}`,
        version: '1',
        purls: [`pkg:npm/package-${i}@1`],
        licences: ['MIT', 'ISC'],
      })),
    },
  };
}

t.test('one look at each of five thousand packages is taken', async (t) => {
  for (const [text, expected] of [
    [`${P}.all(p, p.name != artifact.vendor)`, true],
    [`${P}.all(p, !("pkg:npm/left-pad" in p.purls))`, true],
    [`${P}.all(p, p.purls.all(u, u.startsWith("pkg:npm/")))`, true],
    [`${P}.all(p, p.licences.all(l, l in ["MIT", "BSD-3-Clause"]))`, false],
    [`${P}.exists_one(p, p.name == "package-7")`, true],
    [`${P}.filter(p, p.name == artifact.file).size() == 0`, true],
    [`${P}.map(p, p.name == "package-7", p.version) == ["1"]`, true],
    ['artifact.all(key, key != "x") && provenance.external_parameters["a"] == "b"', true],
  ] as const)
    t.equal(compileExpression(text).holds(facts(5000)), expected, text);
});

t.test('what grows faster is not begun, by whichever way it grows', async (t) => {
  for (const [name, text, packages] of [
    ['loops in loops', `${P}.all(a, ${P}.all(b, a.name != b.name || a == b))`, 1000],
    ['lists put together', `(${many(40)}).all(a, ${P}.all(b, b.name != "x"))`, 150],
    [
      'the same behind a choice',
      `(artifact.generation == 1 ? ${many(40)} : []).all(a, ${P}.all(b, b.name != "x"))`,
      150,
    ],
    ['the same out of a list', `[${many(40)}][0].all(a, ${P}.all(b, b.name != "x"))`, 150],
    ['a loop over what a loop made', `${P}.map(p, ${P}).all(x, x.all(y, y.name != "x"))`, 1000],
    [
      'a variable with the name of a fact',
      `${P}.map(p, ${P}).all(artifact, artifact.all(y, y.name != "x"))`,
      1000,
    ],
    [
      'and of a shorter list',
      `${P}.map(p, ${P}).all(statements, statements.all(y, y.name != "x"))`,
      1000,
    ],
    [
      'a comparison of what loops made',
      `${P}.map(p, ${P}.map(q, ${P})) == ${P}.map(p, ${P}.map(q, ${P}))`,
      150,
    ],
    ['looking for it in what they made', `${P} in ${P}.map(p, ${P}.map(q, q))`, 500],
    [
      'what they made, as a member of a map',
      `{"a": ${P}.map(p, ${P})}.a == {"a": ${P}.map(p, ${P})}.a`,
      1000,
    ],
    [
      'the same by a choice between maps',
      `(artifact.generation == 1 ? {"a": ${P}.map(p, ${P})} : {"a": []}).a == ${P}.map(p, ${P})`,
      1000,
    ],
    ['comparing by a variable', `${P}.map(p, ${P}).all(x, x == ${P})`, 1000],
    ['filtered first', `${P}.filter(p, true).all(a, ${P}.filter(q, true).all(b, a == b))`, 1000],
  ] as const) {
    const { holds } = compileExpression(text);
    t.throws(
      () => holds(facts(packages)),
      { code: 'E_POLICY', context: { reason: 'expression-cost' } },
      name,
    );
    t.doesNotThrow(() => holds(facts(2)), `${name}, of little`);
  }
});

t.test('looking for one long text in another counts by their lengths', async (t) => {
  const { holds } = compileExpression(`${P}.all(p, !p.name.contains(p.version))`);
  const version = `${'a'.repeat(1024)}b${'a'.repeat(1023)}`;
  const package_ = { name: 'a'.repeat(4096), version };
  const long = (count: number): JsonObject => ({
    ...facts(0),
    sbom: { packages: Array(count).fill(package_) },
  });
  t.throws(() => holds(long(1000)), { code: 'E_POLICY', context: { reason: 'expression-cost' } });
  t.ok(holds(long(10)));
  t.ok(compileExpression(`${P}.all(p, !p.name.contains("left-pad"))`).holds(long(5000)));
  t.ok(
    compileExpression(`${P}.all(p, !p.name.lowerAscii().contains("left-pad"))`).holds(facts(5000)),
  );
});

t.test('the variable of a loop is what it goes over, whatever its name is', async (t) => {
  const named = `${P}.all(artifact, artifact.name.startsWith("package-")) && artifact.vendor == "acme"`;
  t.ok(compileExpression(named).holds(facts(3)));
  t.ok(compileExpression(`${P}.all(sbom, sbom.licences.size() == 2)`).holds(facts(3)));
});
