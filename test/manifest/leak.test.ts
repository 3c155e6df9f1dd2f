/** What counts as a leak: a judgement over readings, and nothing else. */

import fc from 'fast-check';
import t from 'tap';
import { Node } from '../../shared/json/decode.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { LEAK_LIMITS } from '../../shared/limits.ts';
import {
  judgeUse,
  newUse,
  readLeakBounds,
  type UseRule,
  type UseVerdict,
} from '../../shared/manifest/leak.ts';

const RULE: UseRule = { windowSeconds: 10, windows: 4, growth: 100, limit: 1000 };

/** The verdicts on readings, each with its time in milliseconds. */
function judge(readings: readonly (readonly [reading: number, ms: number])[], rule = RULE) {
  let state = newUse(rule);
  const all: UseVerdict[] = [];
  for (const [reading, ms] of readings) {
    const judged = judgeUse(state, reading, ms);
    state = judged.state;
    all.push(...judged.verdicts);
  }
  return all;
}

/** Windows of several readings, the least of which is given, with one more reading that ends the last. */
function inWindows(leasts: readonly number[], above: readonly number[] = [0]) {
  const step = (1000 * RULE.windowSeconds) / above.length;
  const readings = leasts.flatMap((least, window) =>
    above.map(
      (more, i) =>
        [least + more, window * 1000 * RULE.windowSeconds + i * step] as [number, number],
    ),
  );
  return [...readings, [0, leasts.length * 1000 * RULE.windowSeconds] as [number, number]];
}

const leaks = (leasts: readonly number[], above?: readonly number[]) =>
  judge(inWindows(leasts, above)).filter(({ kind }) => kind === 'leak');

t.test('a leak is a growth through so many windows in succession', async (t) => {
  // The first window is the program's start; the second is where it stands.
  t.strictSame(leaks([0, 10, 40, 70, 100, 130]), [{ kind: 'leak', from: 10, to: 130, windows: 4 }]);
  t.strictSame(leaks([0, 10, 40, 70, 100]), [], 'one window too few');
  t.strictSame(leaks([0, 10, 30, 50, 70, 90]), [], 'too little');
  t.strictSame(
    leaks([0, 10, 30, 50, 70, 90, 110]),
    [{ kind: 'leak', from: 10, to: 110, windows: 5 }],
    'and when it is enough',
  );
  t.strictSame(leaks([0, 10, 40, 70, 70, 100, 130]), [], 'it stood still once');
  t.strictSame(leaks([0, 900, 10, 20, 30, 40]), [], 'it came back');
  t.strictSame(leaks([500, 10, 10, 10, 10, 10]), [], 'a start that takes much');
  t.strictSame(leaks([0, 10, 500, 500, 500, 500, 500]), [], 'one step is no leak');
  const twice = leaks([0, 10, 40, 70, 100, 130, 160, 190, 220, 250]);
  t.equal(twice.length, 2, 'told again when it grew as much again');
});

t.test('what goes up and down is judged by its least', async (t) => {
  t.strictSame(leaks([0, 10, 10, 10, 10, 10, 10], [0, 900, 400]), []);
  t.strictSame(leaks([0, 10, 40, 70, 100, 130], [0, 900, 400]).length, 1);
});

t.test('near its limit: for a whole window, and told once', async (t) => {
  const nears = (leasts: readonly number[], rule = RULE) =>
    judge(inWindows(leasts), rule).filter(({ kind }) => kind === 'near');
  t.strictSame(nears([0, 874, 875, 875, 900]), [{ kind: 'near', least: 875, limit: 1000 }]);
  t.equal(nears([0, 900, 10, 900]).length, 2, 'and again after it was away from it');
  t.strictSame(nears([0, 900, 900], { ...RULE, limit: null }), [], 'nothing bounds it');
  t.strictSame(nears([999, 10, 10]), [], 'a start counts for nothing');
});

t.test('time', async (t) => {
  t.strictSame(judge([[5, 100]]), []);
  const back = judge([
    ...inWindows([0, 10]),
    // A clock that went back ends no window.
    ...Array.from({ length: 50 }, (_, i) => [100 * i, 0] as [number, number]),
  ]);
  t.strictSame(back, []);
  // Readings that come late make long windows, and none without a reading.
  const late = [0, 10, 40, 70, 100, 130, 0].map((v, i) => [v, i * 500_000] as [number, number]);
  t.equal(judge(late).length, 1);
});

const least = fc.nat({ max: 800 });

t.test('properties', async (t) => {
  const holds = (what: string, property: fc.IRawProperty<unknown>): void => {
    fc.assert(property);
    t.pass(what);
  };
  holds(
    'what comes back is no leak',
    fc.property(fc.array(least, { maxLength: 40 }), fc.nat({ max: 99 }), (noise, base) => {
      // What always comes back to within less than the growth is no leak.
      return leaks(noise.map((one) => base + (one % 99))).length === 0;
    }),
  );
  holds(
    'what rises is one, and no sooner',
    fc.property(fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 4 }), (steps) => {
      let at = 10;
      const grown = steps.map((step) => {
        at += step;
        return at;
      });
      // Found as soon as there are enough windows and enough growth, and not before.
      const first = grown.findIndex((one, i) => i + 1 >= RULE.windows && one - 10 >= RULE.growth);
      const found = leaks([0, 10, ...grown]);
      const until = first === -1 ? [] : leaks([0, 10, ...grown.slice(0, first)]);
      return found.length > 0 === (first !== -1) && until.length === 0;
    }),
  );
  holds(
    'readings above the least, and when the clock began, change nothing',
    fc.property(
      fc.array(least, { maxLength: 40 }),
      fc.array(fc.nat({ max: 10_000 }), { maxLength: 6 }),
      fc.nat({ max: 2 ** 40 }),
      (leasts, above, from) => {
        // More readings above the least change nothing, nor does when the clock began.
        const plain = judge(inWindows(leasts));
        const shifted = inWindows(leasts, [0, ...above]).map(
          ([reading, ms]) => [reading, ms + from] as [number, number],
        );
        return JSON.stringify(plain) === JSON.stringify(judge(shifted));
      },
    ),
  );
  holds(
    'a leak is growth, whatever the clock does',
    fc.property(
      fc.array(fc.tuple(least, fc.integer({ min: -1_000_000, max: 1_000_000 }))),
      (readings) =>
        judge(readings).every((one) => one.kind === 'near' || one.to - one.from >= RULE.growth),
    ),
  );
});

t.test('what a fleet policy says of it', async (t) => {
  const read = (value?: JsonValue) =>
    readLeakBounds(value === undefined ? undefined : new Node(value, 'leak'), 0x10_0000n);
  t.strictSame(read(), {
    windowSeconds: LEAK_LIMITS.windowSeconds.usual,
    windows: LEAK_LIMITS.windows.usual,
    memoryGrowthBytes: 0x8_0000,
    descriptorGrowth: LEAK_LIMITS.descriptorGrowth.usual,
  });
  t.strictSame(read({}), read());
  const all = {
    ...{ window_seconds: 1, windows: 2, memory_growth_bytes: '0x100000', descriptor_growth: 1 },
  };
  t.strictSame(read(all), {
    ...{ windowSeconds: 1, windows: 2, memoryGrowthBytes: 0x10_0000, descriptorGrowth: 1 },
  });
  for (const wrong of [
    ...[null, [], 7, 'x', { else: 1 }],
    ...[0, -1, 1.5, 86_401, '60', null, true].map((window_seconds) => ({ window_seconds })),
    ...[0, 1, 1001, '4'].map((windows) => ({ windows })),
    ...['0x0', '0x100001', 4096, '4096', '0xffffffffffffffff', '-0x1', ''].map(
      (memory_growth_bytes) => ({ memory_growth_bytes }),
    ),
    ...[0, 1_000_001, '3'].map((descriptor_growth) => ({ descriptor_growth })),
  ])
    t.throws(() => read(wrong as JsonValue), { code: 'E_SCHEMA' }, JSON.stringify(wrong));
});
