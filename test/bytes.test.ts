import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import t from 'tap';
import {
  concatBytes,
  equalBytes,
  fromBase64,
  fromHex,
  fromUtf8,
  toBase64,
  toHex,
  utf8,
} from '../shared/bytes.ts';
import { isIronError } from '../shared/errors.ts';

const bytes = fc.uint8Array({ maxLength: 100 });

/** Undefined where `read` refuses with the code; any other error passes. */
function orRefused<T>(code: 'E_JSON' | 'E_SCHEMA', read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isIronError(error, code)) return undefined;
    throw error;
  }
}

t.test('hexadecimal, against Buffer', async (t) => {
  fc.assert(
    fc.property(bytes, (value) => {
      const text = toHex(value);
      return text === Buffer.from(value).toString('hex') && equalBytes(fromHex(text), value);
    }),
  );
  for (const bad of ['0', 'AB', '0g', ' 00', '00 ', '0x00', '٠٠', '00\n']) {
    t.throws(() => fromHex(bad), { code: 'E_SCHEMA' }, JSON.stringify(bad));
  }
  t.equal(fromHex('').length, 0);
});

t.test('base64, against Buffer', async () => {
  fc.assert(
    fc.property(bytes, (value) => {
      const [standard, url] = (['base64', 'base64url'] as const).map((form) =>
        Buffer.from(value).toString(form),
      );
      const spellings = [standard, url, (standard as string).replace(/=+$/, '')] as string[];
      return (
        toBase64(value) === standard &&
        spellings.every((text) => equalBytes(fromBase64(text), value))
      );
    }),
  );
});

t.test('a text is base64 only if it is a spelling of its value', async () => {
  const text = fc.string({ unit: fc.constantFrom(...'ABwxyz019+/-_=. \n'), maxLength: 12 });
  fc.assert(
    fc.property(text, (given) => {
      const read = orRefused('E_SCHEMA', () => fromBase64(given));
      const standard = Buffer.from(given, 'base64').toString('base64');
      const url = standard.replaceAll('+', '-').replaceAll('/', '_');
      const spellings = [standard, url].flatMap((form) => [form, form.replace(/=+$/, '')]);
      return spellings.includes(given)
        ? read !== undefined && toBase64(read) === standard
        : read === undefined;
    }),
    { numRuns: 5000 },
  );
});

t.test('what is not base64', async (t) => {
  const bad = {
    'one letter': 'A',
    'five letters': 'AAAAA',
    'stray bits': 'AB==',
    'stray bits without padding': 'AAB',
    'padding too short': 'AA=',
    'padding too long': 'AAA==',
    'padding alone': '=',
    'padding of three': 'A===',
    'padding in the middle': 'AA==AAAA',
    'two alphabets': '+_AA',
    'white space': 'AA AA',
    'a line feed': 'AAAA\n',
    'a letter beyond ASCII': 'AAAÁ',
  };
  for (const [name, text] of Object.entries(bad))
    t.throws(() => fromBase64(text), { code: 'E_SCHEMA' }, name);
});

t.test('UTF-8, against Buffer', async (t) => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      (text) => fromUtf8(utf8(text)) === text && equalBytes(utf8(text), Buffer.from(text)),
    ),
  );
  const nearly = fc.array(
    fc.constantFrom(
      0x41,
      0x80,
      0xbf,
      0xc0,
      0xc2,
      0xe0,
      0xed,
      0xa0,
      0xef,
      0xf0,
      0x90,
      0xf4,
      0x8f,
      0xf5,
      0xff,
    ),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(nearly, (list) => {
      const value = Uint8Array.from(list);
      const text = orRefused('E_JSON', () => fromUtf8(value));
      return isUtf8(value) ? text === Buffer.from(value).toString('utf8') : text === undefined;
    }),
    { numRuns: 5000 },
  );
  t.equal(fromUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x41)), '\ufeffA', 'a byte order mark stays');
});

t.test('joining and comparing', async (t) => {
  fc.assert(
    fc.property(fc.array(bytes), (parts) =>
      equalBytes(concatBytes(...parts), Buffer.concat(parts)),
    ),
  );
  fc.assert(fc.property(bytes, bytes, (a, b) => equalBytes(a, b) === (Buffer.compare(a, b) === 0)));
  t.notOk(equalBytes(Uint8Array.of(1), Uint8Array.of(1, 0)));
});
