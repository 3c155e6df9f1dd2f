// TUF 4.5: path patterns. Held against regular expressions, which say the same in another way.

import fc from 'fast-check';
import t from 'tap';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { matchesPattern, patternMatcher } from '../../shared/tuf/path-pattern.ts';

t.test('the wildcards stay within a segment', async (t) => {
  const cases: [pattern: string, path: string, matches: boolean][] = [
    ['*', 'a', true],
    ['*', 'a/b', false],
    ['*', '', true],
    ['a/*', 'a/b', true],
    ['a/*', 'a/b/c', false],
    ['a/*', 'a/', true],
    ['a/*', 'a', false],
    ['*/*/*', 'a/b/c', true],
    ['acme/*/*/*', 'acme/nic/1.0/nic.ko', true],
    ['acme/*/*/*', 'acmee/nic/1.0/nic.ko', false],
    ['acme/*/*/*', 'x/acme/1.0/nic.ko', false],
    ['*.tgz', 'x.tgz', true],
    ['*.tgz', 'a/x.tgz', false],
    ['a*b*c', 'axxbyyc', true],
    ['a*b*c', 'axxbyy', false],
    ['v-?.bin', 'v-1.bin', true],
    ['v-?.bin', 'v-12.bin', false],
    ['v-?.bin', 'v-.bin', false],
    ['a?c', 'a/c', false],
    ['?', '😀', true],
    ['??', '😀', false],
    // No other character means anything but itself.
    ['[ab]', 'a', false],
    ['[ab]', '[ab]', true],
    ['a.c', 'abc', false],
    ['\\*', '\\anything', true],
    ['{a,b}', 'a', false],
    ['A', 'a', false],
  ];
  for (const [pattern, path, matches] of cases) {
    t.equal(matchesPattern(pattern, path), matches, `${pattern} and ${path}`);
  }
});

t.test('it agrees with a regular expression', async (t) => {
  const letter = fc.constantFrom('a', 'b', '/', '.', '😀');
  const patterns = fc.array(fc.oneof(letter, fc.constantFrom('*', '?')), { maxLength: 8 });
  fc.assert(
    fc.property(patterns, fc.array(letter, { maxLength: 8 }), (pattern, path) => {
      const parts = pattern.map((unit) =>
        unit === '*' ? '[^/]*' : unit === '?' ? '[^/]' : unit === '.' ? '\\.' : unit,
      );
      const expected = new RegExp(`^${parts.join('')}$`, 'su').test(path.join(''));
      return matchesPattern(pattern.join(''), path.join('')) === expected;
    }),
    { numRuns: 2000 },
  );
  t.pass('2000 patterns');
});

t.test('a hostile pattern takes no more than the product of the lengths', async (t) => {
  // Recursion would take longer than any time-out; no clock is read.
  t.equal(matchesPattern(`${'*a'.repeat(2000)}b`, 'a'.repeat(4000)), false);
});

t.test('hostile patterns together take no more than the limit', async (t) => {
  // 5 MB of patterns, each of which goes back to its star at every letter: 15 s without a limit.
  const matches = patternMatcher(`acme/${'a'.repeat(1000)}`);
  t.throws(
    () => {
      for (let i = 0; i < 9000; i++) matches(`acme/*${'a'.repeat(500)}${i}b`);
    },
    { code: 'E_DELEGATION' },
  );
});

t.test('as many honest patterns as a file can hold stay below the limit', async (t) => {
  const path = 'some-vendor/some-product-of-theirs/1.20.300-rc.4/firmware-for-that-product.bin';
  const matches = patternMatcher(path);
  const pattern = 'some-vendor/*/*/firmware-for-*.bin';
  t.equal(matches(pattern), true);
  for (let i = 0; i < METADATA_LIMITS.targets / (pattern.length + 3); i++) {
    matches('some-vendor/*/*/firmware-for-*.img');
  }
  t.equal(matches(pattern), true);
});
