import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import {
  alignedPieces,
  contains,
  crosses,
  endsWithin,
  firstOverlap,
  intersect,
  isWholePages,
  mergeWindows,
  overlaps,
  pagesInside,
  showWindow,
  subtract,
  subtractAll,
  type Window,
  windowAt,
  windowLength,
} from '../../shared/manifest/windows.ts';
import { holds } from './support.ts';

/** The second way of doing it: a window is the set of its addresses. */
const SPACE = 48;
const members = (window: Window | undefined): number[] =>
  Array.from({ length: SPACE * 2 }, (_, i) => i).filter(
    (i) => window !== undefined && BigInt(i) >= window.start && BigInt(i) < window.end,
  );
const union = (windows: readonly Window[]): number[] =>
  [...new Set(windows.flatMap(members))].sort((a, b) => a - b);

const small = fc
  .tuple(fc.integer({ min: 0, max: SPACE - 1 }), fc.integer({ min: 1, max: SPACE }))
  .map(([start, length]) => windowAt(BigInt(start), BigInt(length)));

t.test('two windows behave as two sets of addresses', async (t) => {
  holds(
    t,
    'for every input',
    fc.property(small, small, (a, b) => {
      const [as, bs] = [members(a), members(b)];
      const both = as.filter((i) => bs.includes(i));
      assert.equal(windowLength(a), BigInt(as.length));
      assert.equal(overlaps(a, b), both.length > 0);
      assert.equal(
        contains(a, b),
        bs.every((i) => as.includes(i)),
      );
      assert.deepEqual(members(intersect(a, b)), both);
      const rest = subtract(a, b);
      assert.deepEqual(
        rest.flatMap(members),
        as.filter((i) => !bs.includes(i)),
        'ascending and disjoint, without one address of b',
      );
      assert.ok(rest.every((window) => window.start < window.end));
    }),
  );
});

t.test('subtracting many is subtracting their union', async (t) => {
  holds(
    t,
    'for every input',
    fc.property(
      fc.array(small, { maxLength: 3 }),
      fc.array(small, { maxLength: 5 }),
      (all, holes) => {
        const gone = union(holes);
        assert.deepEqual(
          union(subtractAll(all, holes)),
          union(all).filter((i) => !gone.includes(i)),
        );
      },
    ),
  );
});

t.test('pages are rounded inward only', async (t) => {
  holds(
    t,
    'for every input',
    fc.property(small, fc.constantFrom(1, 2, 4, 8, 16), (window, page) => {
      // A page belongs to the result exactly when all of its addresses belong to the window.
      const inside = members(window);
      const whole = inside.filter((i) => {
        const first = i - (i % page);
        return Array.from({ length: page }, (_, k) => first + k).every((k) => inside.includes(k));
      });
      assert.deepEqual(members(pagesInside(window, BigInt(page))), whole);
      assert.equal(isWholePages(window, BigInt(page)), whole.length === inside.length);
    }),
  );
});

t.test('the first overlap is the one that a person finds', async (t) => {
  holds(
    t,
    'for every input',
    fc.property(fc.array(small, { maxLength: 6 }), (windows) => {
      const sets = windows.map(members);
      const later = sets.findIndex((set, i) =>
        sets.slice(0, i).some((other) => other.some((x) => set.includes(x))),
      );
      assert.equal(firstOverlap(windows)?.index ?? -1, later);
    }),
  );
});

t.test('edges', async (t) => {
  const top = windowAt((1n << 64n) - 1n, 1n);
  t.equal(endsWithin(top, 1n << 64n), true, 'ending exactly at the end of the space is inside');
  t.equal(endsWithin(windowAt((1n << 64n) - 1n, 2n), 1n << 64n), false);
  t.equal(overlaps(windowAt(0n, 4n), windowAt(4n, 4n)), false, 'windows that touch do not overlap');
  t.equal(showWindow(windowAt(0x1000n, 0x2000n)), '0x1000..0x2fff');
  for (const [start, length] of [
    [0n, 0n],
    [-1n, 2n],
    [0n, -1n],
  ] as const) {
    t.throws(() => windowAt(start, length), { code: 'E_INTERNAL' });
  }
  for (const page of [0n, 3n, -4096n]) {
    t.throws(() => pagesInside(top, page), { code: 'E_INTERNAL' });
    t.throws(() => isWholePages(top, page), { code: 'E_INTERNAL' });
  }
});

t.test('merged windows are the same addresses, apart from one another', async (t) => {
  holds(
    t,
    'for every list',
    fc.property(fc.array(small, { maxLength: 8 }), (windows) => {
      const merged = mergeWindows(windows);
      assert.deepEqual(union(merged), union(windows));
      for (const [i, window] of merged.entries())
        assert.ok(i === 0 || (merged[i - 1] as Window).end < window.start);
    }),
  );
});

t.test(
  'aligned pieces cross no boundary and leave out only what precedes an aligned start',
  async (t) => {
    const power = fc.integer({ min: 0, max: 5 }).map((n) => 1n << BigInt(n));
    holds(
      t,
      'by counting addresses',
      fc.property(
        small,
        power,
        fc.option(power, { nil: undefined }),
        (window, alignment, boundary) => {
          const pieces = alignedPieces(window, alignment, boundary, 1000);
          for (const piece of pieces) {
            assert.ok(contains(window, piece) && piece.start % alignment === 0n);
            if (boundary !== undefined) {
              const blocks = new Set(members(piece).map((i) => BigInt(i) / boundary));
              assert.equal(blocks.size, 1);
              assert.equal(crosses(piece, boundary), false);
            }
          }
          // An address is in a piece exactly when an aligned start lies at or before it in its block.
          const inside = members(window).filter((i) => {
            const block = boundary === undefined ? 0n : (BigInt(i) / boundary) * boundary;
            const from = block > window.start ? block : window.start;
            const start = ((from + alignment - 1n) / alignment) * alignment;
            return start <= BigInt(i);
          });
          assert.deepEqual(union(pieces), inside);
        },
      ),
      500,
    );
  },
);

t.test(
  'whatever the address: nothing is rounded or wraps, up to the last one of 64 bits',
  async (t) => {
    // All of `small` lies in twice SPACE addresses; each base is a multiple of every page and boundary below.
    const moves: [scale: bigint, by: bigint][] = [
      [1n, 1n << 32n],
      [1n, 1n << 53n],
      [1n, 1n << 63n],
      [1n, (1n << 64n) - BigInt(SPACE * 2)],
      // Far apart: differences of more than 32, and of more than 53 bits.
      [1n << 31n, 0n],
      [1n << 57n, 0n],
    ];
    const power = fc.integer({ min: 0, max: 5 }).map((n) => 1n << BigInt(n));
    holds(
      t,
      'moving and stretching the windows moves and stretches the results',
      fc.property(
        fc.constantFrom(...moves),
        fc.array(small, { minLength: 1, maxLength: 4 }),
        small,
        power,
        power,
        ([scale, by], list, b, smallPage, smallBoundary) => {
          const [page, boundary] = [smallPage * scale, smallBoundary * scale];
          const at = (window: Window): Window => ({
            start: window.start * scale + by,
            end: window.end * scale + by,
          });
          const all = (windows: readonly Window[]): Window[] => windows.map(at);
          const one = (window: Window | undefined): Window | undefined => window && at(window);
          const a = list[0] as Window;
          assert.equal(windowLength(at(a)), windowLength(a) * scale);
          assert.deepEqual(windowAt(at(a).start, windowLength(at(a))), at(a));
          assert.equal(overlaps(at(a), at(b)), overlaps(a, b));
          assert.equal(contains(at(a), at(b)), contains(a, b));
          assert.deepEqual(intersect(at(a), at(b)), one(intersect(a, b)));
          assert.deepEqual(subtract(at(a), at(b)), all(subtract(a, b)));
          assert.deepEqual(subtractAll(all(list), [at(b)]), all(subtractAll(list, [b])));
          assert.deepEqual(mergeWindows(all(list)), all(mergeWindows(list)));
          assert.deepEqual(firstOverlap(all(list)), firstOverlap(list));
          assert.deepEqual(pagesInside(at(a), page), one(pagesInside(a, smallPage)));
          assert.equal(isWholePages(at(a), page), isWholePages(a, smallPage));
          assert.equal(crosses(at(a), boundary), crosses(a, smallBoundary));
          assert.deepEqual(
            alignedPieces(at(a), page, boundary, 1000),
            all(alignedPieces(a, smallPage, smallBoundary, 1000)),
          );
          assert.equal(endsWithin(at(a), at(b).end), endsWithin(a, b.end));
        },
      ),
      500,
    );
  },
);
