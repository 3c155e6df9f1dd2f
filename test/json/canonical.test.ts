import fc from 'fast-check';
import t from 'tap';
import { fromUtf8, utf8 } from '../../shared/bytes.ts';
import { canonicalBytes, canonicalText } from '../../shared/json/canonical.ts';
import { parseJson } from '../../shared/json/read.ts';
import { isJsonObject, type JsonValue, jsonObject } from '../../shared/json/value.ts';
import { value } from './values.ts';

/** Written once more, as plainly as possible: bytes, sorted as bytes. */
function plainly(given: JsonValue): Buffer {
  if (typeof given === 'string') {
    let quoted = '"';
    for (const char of given) quoted += char === '"' || char === '\\' ? `\\${char}` : char;
    return Buffer.from(`${quoted}"`);
  }
  if (isJsonObject(given)) {
    const members = Object.entries(given).map(([key, member]) => ({
      key: Buffer.from(key),
      name: plainly(key),
      member,
    }));
    members.sort((a, b) => Buffer.compare(a.key, b.key));
    const parts = members.map(({ name, member }) =>
      Buffer.concat([name, Buffer.from(':'), plainly(member)]),
    );
    return Buffer.concat([Buffer.from('{'), joined(parts), Buffer.from('}')]);
  }
  if (Array.isArray(given))
    return Buffer.concat([Buffer.from('['), joined(given.map(plainly)), Buffer.from(']')]);
  return Buffer.from(String(given));
}

function joined(parts: readonly Buffer[]): Buffer {
  return Buffer.concat(parts.flatMap((part, i) => (i === 0 ? [part] : [Buffer.from(','), part])));
}

t.test('against a plain second writing', async () => {
  fc.assert(
    fc.property(value, (given) => plainly(given).equals(canonicalBytes(given))),
    { numRuns: 5000 },
  );
});

t.test('keys in the order of their code points', async (t) => {
  // In UTF-16 order U+1F600 (d83d de00) would stand before U+FB01 and U+FFFD.
  const keys = [
    'z',
    '😀',
    '\ufb01',
    'é',
    'a',
    '\ufffd',
    '\u{10ffff}',
    '',
    'aa',
    '\ud7ff',
    '\ue000',
    '10',
    '9',
  ];
  const text = canonicalText(jsonObject(keys.map((key) => [key, 0])));
  const expected = [
    '',
    '10',
    '9',
    'a',
    'aa',
    'z',
    'é',
    '\ud7ff',
    '\ue000',
    '\ufb01',
    '\ufffd',
    '😀',
    '\u{10ffff}',
  ];
  t.equal(text, `{${expected.map((key) => `"${key}":0`).join(',')}}`);
  const prefix = canonicalText(
    jsonObject([
      ['😀a', 0],
      ['😀', 0],
      ['😀😀', 0],
    ]),
  );
  t.equal(prefix, '{"😀":0,"😀a":0,"😀😀":0}', 'a beginning comes first');
});

t.test('only the quote and the backslash are escaped', async (t) => {
  t.equal(canonicalText('a"b\\c/d\n\t\u0000\u007fé'), '"a\\"b\\\\c/d\n\t\u0000\u007fé"');
});

t.test('the form', async (t) => {
  const source = '{ "b" : [ 1 , -2, true , false, null, {} , [] ] , "a" : { "__proto__" : "x" } }';
  const document = parseJson(utf8(source), { length: 999 });
  t.equal(
    fromUtf8(canonicalBytes(document)),
    '{"a":{"__proto__":"x"},"b":[1,-2,true,false,null,{},[]]}',
  );
});

t.test('one value has one form, whatever the order and the space it came in', async () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.integer())), (entries) => {
      const unique = Array.from(new Map(entries));
      const text = canonicalText(jsonObject(unique));
      return canonicalText(jsonObject(unique.toReversed())) === text;
    }),
  );
});

t.test('what has no such form', async (t) => {
  for (const bad of [1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '\ud83d', ['\ude00']]) {
    t.throws(() => canonicalBytes(bad), { code: 'E_SCHEMA' }, String(bad));
  }
  t.throws(() => canonicalBytes(jsonObject([['\ud83d', 1]])), { code: 'E_SCHEMA' }, 'in a key');
});
