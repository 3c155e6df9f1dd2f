/** How many bins suit a role, by what one artifact then moves. */

import t from 'tap';
import { fittingBits } from '../../publisher/fitting-bins.ts';
import { BIN_LIMITS } from '../../shared/limits.ts';

t.test('a small role is one file, and the most is what a role may have', async (t) => {
  for (const targets of [0, 1, 10, 20]) t.equal(fittingBits(targets), 0, `${targets}`);
  t.equal(fittingBits(10_000_000_000), BIN_LIMITS.bits);
});

t.test('four times the targets are twice the bins', async (t) => {
  for (let targets = 1_000; targets <= 1_000_000; targets *= 4)
    t.equal(fittingBits(targets * 4), fittingBits(targets) + 1, `${targets * 4}`);
});

t.test('more targets never want fewer bins', async (t) => {
  let before = 0;
  for (let targets = 0; targets < 2_000_000; targets = Math.ceil(targets * 1.1) + 1) {
    const bits = fittingBits(targets);
    t.ok(bits >= before, `${targets}: ${bits} after ${before}`);
    before = bits;
  }
});

t.test('what the guide promises', async (t) => {
  t.same(
    [1_000, 10_000, 100_000, 1_000_000].map((targets) => 2 ** fittingBits(targets)),
    [128, 512, 1024, 4096],
  );
});
