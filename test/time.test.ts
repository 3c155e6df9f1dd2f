import fc from 'fast-check';
import t from 'tap';
import { isIronError } from '../shared/errors.ts';
import { formatInstant, formatSpan, parseInstant } from '../shared/time.ts';

/** The first second of the year 0 and the last one of 9999. */
const [FIRST, LAST] = [
  Date.parse('0000-01-01T00:00:00Z') / 1000,
  Date.parse('9999-12-31T23:59:59Z') / 1000,
];

t.test('every second of the years 0 to 9999, against Date', async (t) => {
  const instant = fc.integer({ min: FIRST, max: LAST });
  fc.assert(
    fc.property(instant, (seconds) => {
      const text = new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
      return formatInstant(seconds) === text && parseInstant(text) === seconds;
    }),
    { numRuns: 20_000 },
  );
  for (const edge of [FIRST, LAST, 0, -1, 951_782_399, 951_782_400, 951_868_800, 2 ** 31]) {
    const text = new Date(edge * 1000).toISOString().replace('.000Z', 'Z');
    t.equal(formatInstant(edge), text);
    t.equal(parseInstant(text), edge, text);
  }
});

t.test('fields out of their range, against Date', async () => {
  const two = (least: number, most: number): fc.Arbitrary<string> =>
    fc.integer({ min: least, max: most }).map((value) => String(value).padStart(2, '0'));
  const fields = fc.tuple(
    fc.integer({ min: 0, max: 9999 }),
    two(0, 14),
    two(0, 33),
    two(0, 25),
    two(0, 61),
    two(0, 61),
  );
  fc.assert(
    fc.property(fields, ([year, month, day, hour, minute, second]) => {
      const text = `${String(year).padStart(4, '0')}-${month}-${day}T${hour}:${minute}:${second}Z`;
      const date = new Date(0);
      date.setUTCFullYear(year, Number(month) - 1, Number(day));
      date.setUTCHours(Number(hour), Number(minute), Number(second));
      // Date carries over what is too much; what comes back changed was never a time.
      const isTime = date.toISOString().replace('.000Z', 'Z') === text;
      try {
        return parseInstant(text) === date.getTime() / 1000 && isTime;
      } catch (error) {
        return isIronError(error, 'E_SCHEMA') && !isTime;
      }
    }),
    { numRuns: 20_000 },
  );
});

t.test('fractions are cut off', async (t) => {
  t.equal(parseInstant('2030-01-31T12:00:00.999999999Z'), parseInstant('2030-01-31T12:00:00Z'));
  t.equal(parseInstant('1969-12-31T23:59:59.5Z'), -1, 'towards the past, also before the epoch');
});

t.test('other forms', async (t) => {
  const bad = [
    '',
    '2030-01-31',
    '2030-01-31T12:00:00',
    '2030-01-31t12:00:00z',
    '2030-01-31 12:00:00Z',
    '2030-01-31T12:00:00+00:00',
    '2030-01-31T12:00Z',
    '2030-01-31T12:00:00.Z',
    '2030-01-31T12:00:00.1234567890Z',
    '2030-01-31T12:00:00,5Z',
    ' 2030-01-31T12:00:00Z',
    '2030-01-31T12:00:00Z\n',
    '20300131T120000Z',
    '+2030-01-31T12:00:00Z',
    '12030-01-31T12:00:00Z',
    '2030-1-31T12:00:00Z',
    '2030-02-29T12:00:00Z',
    '2100-02-29T12:00:00Z',
    '2030-06-30T23:59:60Z',
    '2030-01-31T24:00:00Z',
    '٢٠٣٠-01-31T12:00:00Z',
  ];
  for (const text of bad)
    t.throws(() => parseInstant(text), { code: 'E_SCHEMA' }, JSON.stringify(text));
  t.throws(
    () => parseInstant('9'.repeat(100_000)),
    { code: 'E_SCHEMA', message: /^.{0,120}$/ },
    'the message stays short',
  );
});

t.test('spans', async (t) => {
  const spans: [number, string][] = [
    [0, '0 seconds'],
    [1, '1 second'],
    [-1, '1 second'],
    [119, '119 seconds'],
    [120, '2 minutes'],
    [7199, '119 minutes'],
    [7200, '2 hours'],
    [172_799, '47 hours'],
    [172_800, '2 days'],
    [-864_001, '10 days'],
  ];
  for (const [seconds, text] of spans) t.equal(formatSpan(seconds), text);
});
