import fc from 'fast-check';
import t from 'tap';
import { concatBytes, equalBytes, fromUtf8, utf8 } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { canonicalBytes, canonicalText } from '../../shared/json/canonical.ts';
import { parseJson, parseSigned } from '../../shared/json/read.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { integer, ordinary, text, value } from './values.ts';

const read = (source: string): JsonValue => parseJson(utf8(source), { length: 10_000_000 });

/**
 * What the strict reader should say of a text, found in another way: through JSON.parse. It is given
 * short names for the keys, and each key alone: in an object, V8 reads a key of one escaped letter
 * as a backslash, once in some 100,000 documents and never twice in the same place.
 */
function secondWay(source: string): { value: unknown } | undefined {
  const keys: string[] = [];
  let isStrict = true;
  // Each string whole, so that a quote or a colon inside one is not taken for one outside.
  const plain = source.replace(/("(?:[^"\\]|\\.)*")(\s*:)?/gs, (all, token, colon) =>
    colon === undefined ? all : `"k${keys.push(token) - 1}"${colon}`,
  );
  const named = (member: unknown): unknown => {
    if (Array.isArray(member)) return member.map(named);
    if (typeof member !== 'object' || member === null) return member;
    const entries = Object.entries(member).map(([key, inner]): [string, unknown] => {
      return [JSON.parse(keys[Number(key.slice(1))] ?? ''), named(inner)];
    });
    const names = new Set(entries.map(([name]) => name));
    isStrict &&= names.size === entries.length && [...names].every((name) => name.isWellFormed());
    return Object.fromEntries(entries);
  };
  try {
    const parsed = JSON.parse(plain, (_key, member: unknown, context?: { source?: string }) => {
      if (typeof member === 'number') isStrict &&= isSafe(context?.source ?? '');
      if (typeof member === 'string') isStrict &&= member.isWellFormed();
      return member;
    });
    const value = named(parsed);
    return isStrict ? { value } : undefined;
  } catch {
    return undefined;
  }
}

const isSafe = (source: string): boolean =>
  /^-?\d+$/.test(source) && source !== '-0' && Number.isSafeInteger(Number(source));

const agrees = (source: string): boolean => {
  const expected = secondWay(source);
  try {
    const found = read(source);
    return (
      expected !== undefined && JSON.stringify(ordinary(found)) === JSON.stringify(expected.value)
    );
  } catch (error) {
    return isIronError(error, 'E_JSON') && expected === undefined;
  }
};

t.test('valid documents, with any white space, against JSON.parse', async () => {
  const space = fc.string({ unit: fc.constantFrom(' ', '\n', '\r', '\t'), maxLength: 3 });
  fc.assert(
    fc.property(value, space, space, fc.nat({ max: 3 }), (document, before, after, indent) => {
      const source = before + JSON.stringify(ordinary(document), null, indent) + after;
      return secondWay(source) !== undefined && agrees(source);
    }),
    { numRuns: 2000 },
  );
});

t.test('nearly valid documents: accepted or refused as the second way says', async () => {
  const letter = fc.constantFrom(
    ...'{}[]":,\\/ubn0123456789.eE+-truefalsn \n\té😀\u0000',
    '\ud83d',
    '__proto__',
  );
  const edit = fc.record({
    at: fc.nat(),
    remove: fc.nat({ max: 2 }),
    add: fc.string({ unit: letter, maxLength: 2 }),
  });
  fc.assert(
    fc.property(value, fc.array(edit, { minLength: 1, maxLength: 3 }), (document, edits) => {
      let source = JSON.stringify(ordinary(document));
      for (const { at, remove, add } of edits) {
        const place = at % (source.length + 1);
        source = source.slice(0, place) + add + source.slice(place + remove);
      }
      // The bytes of a text with a lone surrogate are those of another text.
      return agrees(source.toWellFormed());
    }),
    { numRuns: 20_000 },
  );
});

t.test('any letters at all', async () => {
  const letter = fc.constantFrom(...'{}[]":,\\u01dabn-.e truefalsn');
  fc.assert(fc.property(fc.string({ unit: letter, maxLength: 12 }), agrees), { numRuns: 20_000 });
});

t.test('strings that are read over and over, and more of them than are remembered', async (t) => {
  const object = (at: number) => ({
    [`k${at % 997}`]: `v${at % 991}`,
    [`${at % 997}k`]: at,
    same: [at],
  });
  const all = Array.from({ length: 4000 }, (_, at) => object(at));
  t.equal(canonicalText(read(JSON.stringify(all))), canonicalText(all));
  t.equal(canonicalText(read(JSON.stringify(all, null, 1))), canonicalText(all));
  // The same length, first and last letter, and one the beginning of another.
  t.same(read('["bxa","bya","bxa","bx","b","","b"]'), ['bxa', 'bya', 'bxa', 'bx', 'b', '', 'b']);
  t.same(Object.entries(read('{"bxa":1,"bya":"bxa"}') as object), [
    ['bxa', 1],
    ['bya', 'bxa'],
  ]);
  for (const key of ['bxa', 'k'.repeat(24), 'k'.repeat(25), '__proto__', '\\u0062', '0', '']) {
    const text = `{"bya":0,"${key}":1,"bza":"${key}","${key}":2}`;
    t.throws(() => read(text), { code: 'E_JSON', message: /stands twice/ });
  }
  t.throws(() => read('[{"name":1},{"name"'), { code: 'E_JSON' });
  t.throws(() => read('[{"name":1},{"name'), { code: 'E_JSON' });
  t.throws(() => read('["name","na\nme"]'), { code: 'E_JSON' });
});

t.test('integers', async (t) => {
  fc.assert(fc.property(integer, (number) => read(String(number)) === number));
  t.equal(read('9007199254740991'), Number.MAX_SAFE_INTEGER);
  t.equal(read('-9007199254740991'), Number.MIN_SAFE_INTEGER);
  t.equal(read('0'), 0);
});

t.test('strings', async (t) => {
  fc.assert(fc.property(text, (content) => read(JSON.stringify(content)) === content));
  t.equal(read(String.raw`"\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00"`), '"\\/\b\f\n\r\tAé😀');
  t.equal(read('"\u007f\u2028\ufeff"'), '\u007f\u2028\ufeff', 'only C0 is refused inside a string');
});

t.test('names that are special elsewhere are ordinary data', async (t) => {
  const object = read(
    '{"__proto__":{"a":1},"constructor":2,"toString":3,"hasOwnProperty":4}',
  ) as Record<string, JsonValue>;
  t.equal(Object.getPrototypeOf(Object.getPrototypeOf(object)), null);
  t.notOk('valueOf' in object, 'nothing is inherited');
  t.strictSame(Object.keys(object), ['__proto__', 'constructor', 'toString', 'hasOwnProperty']);
  t.equal(({} as { a?: number }).a, undefined);
  t.throws(() => read('{"__proto__":1,"__proto__":2}'), {
    code: 'E_JSON',
    context: { position: 15 },
  });
});

/** Source, and the byte at which it is refused. */
const HOSTILE: Record<string, readonly [source: string | Uint8Array, position: number]> = {
  nothing: ['', 0],
  'white space alone': [' \n', 2],
  'a byte order mark': ['\ufeff{}', 0],
  'something after the value': ['{} x', 3],
  'two values': ['1 2', 2],
  'a form feed': ['\f1', 0],
  'a no-break space': ['\u00a01', 0],
  'a comment': ['{} // x', 3],
  'a trailing comma in an array': ['[1,]', 3],
  'a trailing comma in an object': ['{"a":1,}', 7],
  'a leading comma': ['[,1]', 1],
  'no comma': ['[1 2]', 3],
  'no colon': ['{"a" 1}', 5],
  'a key that is no string': ['{a:1}', 1],
  'a key in single quotes': ["{'a':1}", 1],
  'a number as key': ['{1:1}', 1],
  'a key without value': ['{"a":}', 5],
  'a key twice': ['{"a":1,"b":2,"a":3}', 13],
  'a key twice, after one that does not ascend': ['{"c":1,"a":2,"c":3}', 13],
  'an empty key twice': ['{"":1,"":2}', 6],
  'a key twice, once escaped': ['{"a":1,"\\u0061":2}', 7],
  'a key twice, deeper': ['[{"x":{"é":1,"é":2}}]', 14],
  'an array that does not end': ['[1', 2],
  'an object that does not end': ['{"a":1', 6],
  'brackets that do not match': ['[1}', 2],
  'a bracket alone': [']', 0],
  'a string that does not end': ['"abc', 4],
  'an escape that does not end': ['"a\\', 2],
  'a short escape': ['"\\u12"', 1],
  'an escape in upper case': ['"\\U0041"', 1],
  'an unknown escape': ['"\\x41"', 1],
  'an escape with a sign': ['"\\u+041"', 1],
  'a line feed in a string': ['"a\nb"', 2],
  'a zero byte in a string': ['"a\u0000b"', 2],
  'a lone high surrogate': ['"\\ud83d"', 1],
  'a lone low surrogate': ['"\\ude00"', 1],
  'surrogates the wrong way round': ['"\\ude00\\ud83d"', 1],
  'a lone surrogate in a key': ['{"\\ud83d":1}', 2],
  'a fraction': ['1.5', 0],
  'a fraction of nothing': ['1.0', 0],
  'an exponent': ['1e3', 0],
  'a large exponent': ['[1E400]', 1],
  'minus nought': ['-0', 0],
  'a leading zero': ['01', 0],
  'a plus': ['+1', 0],
  'a minus alone': ['-', 0],
  'a point first': ['.5', 0],
  hexadecimal: ['0x10', 1],
  infinity: ['Infinity', 0],
  'not a number': ['NaN', 0],
  'one more than is safe': ['9007199254740992', 0],
  'one less than is safe': ['[-9007199254740992]', 1],
  'very many digits': ['9'.repeat(100_000), 0],
  undefined: ['undefined', 0],
  'a word in capitals': ['True', 0],
  'a word cut off': ['nul', 0],
  'a word with more': ['nulll', 4],
  'position in bytes, not letters': ['["😀é",x]', 10],
};

t.test('what is refused, and where', async (t) => {
  for (const [name, [source, position]] of Object.entries(HOSTILE)) {
    const bytes = typeof source === 'string' ? utf8(source) : source;
    t.throws(
      () => parseJson(bytes, { length: 1_000_000 }),
      { code: 'E_JSON', context: { position } },
      name,
    );
  }
});

t.test('bytes that are not UTF-8', async (t) => {
  const inside = (...bytes: number[]): Uint8Array =>
    concatBytes(utf8('"'), Uint8Array.from(bytes), utf8('"'));
  for (const bytes of [
    [0xff],
    [0xc0, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0xe2, 0x82],
    [0x80],
  ]) {
    t.throws(() => parseJson(inside(...bytes), { length: 99 }), { code: 'E_JSON' }, String(bytes));
  }
  t.throws(
    () => parseJson(utf8('\u0000{}'), { length: 99 }),
    { code: 'E_JSON' },
    'UTF-16 looks like this',
  );
});

t.test('the cap is exact', async (t) => {
  t.equal(parseJson(utf8('12345'), { length: 5 }), 12345);
  t.throws(() => parseJson(utf8('123456'), { length: 5 }), {
    code: 'E_TOO_LARGE',
    context: { length: 6, limit: 5 },
  });
  t.throws(() => parseJson(utf8('"é"'), { length: 3 }), { code: 'E_TOO_LARGE' }, 'in bytes');
});

t.test('depth', async (t) => {
  const nested = (open: string, close: string, depth: number): string =>
    open.repeat(depth) + close.repeat(depth);
  t.ok(read(nested('[', ']', 64)));
  t.throws(() => read(nested('[', ']', 65)), { code: 'E_JSON', context: { position: 64 } });
  t.throws(() => read(`${'{"a":'.repeat(65)}1${'}'.repeat(65)}`), {
    code: 'E_JSON',
    context: { position: 320 },
  });
  t.throws(
    () => read('['.repeat(5_000_000)),
    { code: 'E_JSON', context: { position: 64 } },
    'no stack is used up',
  );
  t.ok(read(`[${'[],'.repeat(1000)}[]]`), 'siblings do not add up');
  t.throws(() => parseJson(utf8('[[]]'), { length: 9, depth: 1 }), { code: 'E_JSON' });
});

const REFUSED_SHAPES: ReadonlySet<string> = new Set([
  'a string that does not end',
  'many errors away',
  'digits',
  'white space',
]);

t.test('time grows with the bytes and no faster', async (t) => {
  const shapes: Record<string, (size: number) => string> = {
    'a long string': (size) => `"${'x'.repeat(size)}"`,
    'many escapes': (size) => `"${'\\u0041'.repeat(size / 6)}"`,
    'escapes and letters in turn': (size) => `"${'x\\n'.repeat(size / 3)}"`,
    'a string that does not end': (size) => `"${'\\n'.repeat(size / 2)}`,
    'many short strings': (size) => `[${'"",'.repeat(size / 3)}""]`,
    'many keys': (size) =>
      `{${Array.from({ length: size / 10 }, (_, i) => `"k${i}":0`).join(',')}}`,
    'keys that are numbers': (size) =>
      `{${Array.from({ length: size / 10 }, (_, i) => `"${i * 7919}":0`).join(',')}}`,
    'many errors away': (size) => `[${'1,'.repeat(size / 2)}`,
    digits: (size) => '1'.repeat(size),
    'white space': (size) => ' '.repeat(size),
    'white space between': (size) => `[${' '.repeat(size / 2)}1${' '.repeat(size / 2)}]`,
  };
  // Eight million bytes: in linear time a second, in quadratic time longer than any time-out. No
  // clock is read, because a busy machine is no defect.
  for (const [name, make] of Object.entries(shapes)) {
    const bytes = utf8(make(7_680_000));
    const outcome = ((): string => {
      try {
        parseJson(bytes, { length: bytes.length });
        return 'read';
      } catch (error) {
        if (!isIronError(error, 'E_JSON')) throw error;
        return 'refused';
      }
    })();
    t.equal(outcome, REFUSED_SHAPES.has(name) ? 'refused' : 'read', name);
  }
});

t.test('a signed member that is canonical as it stands', async (t) => {
  const signed = (source: string) => parseSigned(utf8(source), { length: 10_000_000 }, 'signed');
  const bytesOf = (source: string): string | undefined => {
    const { canonical } = signed(source);
    return canonical === undefined ? undefined : new TextDecoder().decode(canonical);
  };
  t.equal(
    bytesOf('{"signed":{"a":"\\"\\\\","b":[1,-2,true,null]}}'),
    '{"a":"\\"\\\\","b":[1,-2,true,null]}',
  );
  t.equal(
    bytesOf(' { "x" : [ 1 ] , "signed" : {"a":1} , "a" : 2 } '),
    '{"a":1}',
    'others may deviate',
  );
  for (const [name, source] of Object.entries({
    'white space inside': '{"signed":{"a": 1}}',
    'white space deep inside': '{"signed":{"a":[{}, 1]}}',
    'keys out of order': '{"signed":{"b":1,"a":2}}',
    'keys out of order, deeper': '{"signed":{"a":{"c":1,"b":2},"b":1}}',
    'an escape that canonical JSON has not': '{"signed":{"a":"\\n"}}',
    'an escape in a key': '{"signed":{"\\u0061":1}}',
    'a letter beyond ASCII': '{"signed":{"a":"é"}}',
    'a letter beyond ASCII elsewhere': '{"signed":{"a":1},"b":"é"}',
    'no such member': '{"unsigned":{"a":1}}',
    'no such member there': '{"a":{"signed":{"a":1}}}',
    'no object': '[{"signed":{"a":1}}]',
  })) {
    t.equal(bytesOf(source), undefined, name);
  }
  t.throws(() => signed('{"signed":{"a":1},"signed":{"a":2}}'), { code: 'E_JSON' }, 'twice');
  t.throws(() => parseSigned(utf8('{"signed":1}'), { length: 11 }, 'signed'), {
    code: 'E_TOO_LARGE',
  });
});

t.test('what is said to be canonical is, byte for byte', async (t) => {
  let found = 0;
  const agreesWithWriter = (source: string): boolean => {
    const { value, canonical } = parseSigned(utf8(source), { length: 10_000_000 }, 'signed');
    const member = (value as Record<string, JsonValue>).signed as JsonValue;
    if (canonical !== undefined) found++;
    return canonical === undefined || equalBytes(canonical, canonicalBytes(member));
  };
  fc.assert(
    fc.property(value, value, fc.nat({ max: 1 }), (document, other, indent) =>
      agreesWithWriter(
        JSON.stringify({ a: ordinary(other), signed: ordinary(document) }, null, indent),
      ),
    ),
    { numRuns: 5000 },
  );
  t.ok(found > 100, 'the fast way was taken');
  fc.assert(
    fc.property(value, (document) => {
      const text = canonicalText(document);
      // Canonical text with control characters is not JSON, and beyond ASCII nothing is said.
      fc.pre(/^[\x20-\x7e]*$/.test(text));
      const { canonical } = parseSigned(
        utf8(`{"signed":${text}}`),
        { length: 10_000_000 },
        'signed',
      );
      return canonical !== undefined && equalBytes(canonical, utf8(text));
    }),
    { numRuns: 2000 },
  );
});

t.test('what is written again is the same value, wherever it stands', async (t) => {
  const leaves = [
    '{"version":1}',
    '{"version":2}',
    '{"v":"}"}',
    '{"v":"{"}',
    '{"a":1,"b":true}',
    '{"b":1,"a":true}',
    '{"v": 1}',
    '{"v":"\\/"}',
    '{"v":null}',
    '{}',
    '{"v":[]}',
    '{"v":{"version":1}}',
    '{"__proto__":1}',
  ];
  const read = (text: string) => parseSigned(utf8(text), { length: 9999 }, 'signed');
  for (const one of leaves)
    for (const other of leaves)
      for (const text of [
        `{"signatures":[${one}],"signed":{"a":${other},"b":${one},"c":[${other},${one}]}}`,
        `{"signed":{"a":${one},"b":${one}},"signatures":{"x":${other},"y":${one}}}`,
      ]) {
        const { value, canonical } = read(text);
        t.equal(JSON.stringify(value), JSON.stringify(JSON.parse(text)), text);
        const { signed } = value as { signed: JsonObject };
        // What is said to be canonical is what would be written anew.
        if (canonical !== undefined) t.same(canonical, canonicalBytes(signed), text);
        const isCanonical = text.includes(`"signed":${fromUtf8(canonicalBytes(signed))}`);
        t.equal(canonical !== undefined, isCanonical, text);
      }
  for (const end of ['', '"', ',', '}', ']}'])
    t.throws(() => read(`{"signed":{"a":{"version":1},"b":{"version":1${end}`), { code: 'E_JSON' });
  const twice = '{"signed":{"a":{"version":1},"a":{"version":1}}}';
  t.throws(() => read(twice), { code: 'E_JSON', message: /stands twice/ });
  const deep = (depth: number): string =>
    `{"signed":[{"version":1},${'['.repeat(depth)}{"version":1}${']'.repeat(depth)}]}`;
  const limits = { length: 9999, depth: 8 };
  t.doesNotThrow(() => parseSigned(utf8(deep(5)), limits, 'signed'));
  t.throws(() => parseSigned(utf8(deep(6)), limits, 'signed'), { message: /nested deeper/ });
});

t.test(
  'a guess at the keys of an object changes nothing but says whether it was right',
  async (t) => {
    const key = fc.constantFrom(
      'a.json',
      'b.json',
      'b',
      'c"d',
      'c',
      'd\\',
      'é',
      '\n',
      '',
      '__proto__',
    );
    const keys = fc.uniqueArray(key, { maxLength: 6 });
    const document = (keys: readonly string[], inner: readonly string[]): string => {
      const members = (list: readonly string[], value: string): string =>
        `{${list.map((key) => `${JSON.stringify(key)}:${value}`).join()}}`;
      return `{"signatures":${members(keys, '1')},"signed":{"meta":${members(keys, members(inner, '2'))}}}`;
    };
    const signed = (source: string, guess?: readonly string[]) => {
      try {
        return parseSigned(utf8(source), { length: 9999 }, 'signed', guess);
      } catch (error) {
        if (isIronError(error, 'E_JSON')) return error.message;
        throw error;
      }
    };
    let right = 0;
    fc.assert(
      fc.property(keys, keys, keys, fc.nat({ max: 2 }), (own, inner, other, which) => {
        const guess = [own, inner, other][which] as string[];
        const source = document(own, inner);
        const [alone, guessed] = [signed(source), signed(source, guess)];
        if (typeof alone === 'string' || typeof guessed === 'string')
          throw new Error('it was read');
        t.equal(JSON.stringify(guessed.value), JSON.stringify(alone.value));
        t.strictSame(guessed.canonical, alone.canonical);
        t.equal(alone.guessed, undefined);
        if (guessed.guessed === undefined) return;
        right += 1;
        t.equal(JSON.stringify(Object.keys(guessed.guessed)), JSON.stringify(guess));
        // Outside of what is signed nobody asks.
        const { signatures } = guessed.value as Record<string, JsonValue>;
        t.not(guessed.guessed, signatures);
      }),
      { numRuns: 2000 },
    );
    t.ok(right > 500, 'guesses were right');
    const { value, guessed } = parseSigned(
      utf8('{"signed":{"meta":{"a":{"v":1},"b":{"v":2}}}}'),
      { length: 9999 },
      'signed',
      ['a', 'b'],
    );
    t.equal((value as { signed: { meta: JsonObject } }).signed.meta, guessed);
    // Also where all keys are as they were thought, and one comes again.
    for (const bad of [
      '{"a":1,"b":2,"a":3}',
      '{"a":1,"a":2}',
      '{"a":1,"b":2',
      '{"a":1,"b"}',
      '{"a',
    ])
      for (const guess of [['a', 'b'], ['a', 'b', 'a'], ['a', 'a'], ['a":1,"b']])
        t.equal(typeof signed(`{"signed":${bad}}`, guess), 'string', `${bad} ${guess}`);
  },
);

t.test('a key that stands twice is found wherever it stands', async (t) => {
  const key = fc.constantFrom(
    'a',
    'b',
    'aa',
    'ab',
    'B',
    '',
    'é',
    '\ud83d\ude00',
    '\uffff',
    '0',
    '10',
  );
  const entries = fc.array(fc.tuple(key, fc.boolean()), { maxLength: 9 });
  let refused = 0;
  fc.assert(
    fc.property(entries, fc.boolean(), (list, isSorted) => {
      const keys = list.map(([key]) => key);
      if (isSorted) keys.sort();
      const escaped = (key: string, at: number): string =>
        list[at]?.[1] === true && key !== ''
          ? `"${[...key].map((one) => Array.from({ length: one.length }, (_, i) => `\\u${one.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')).join('')}"`
          : JSON.stringify(key);
      const source = `{${keys.map((key, at) => `${escaped(key, at)}:${at}`).join()}}`;
      const isTwice = new Set(keys).size < keys.length;
      try {
        read(source);
        return !isTwice;
      } catch (error) {
        refused += 1;
        return isTwice && isIronError(error, 'E_JSON') && /stands twice/.test(error.message);
      }
    }),
    { numRuns: 5000 },
  );
  t.ok(refused > 500);
});
