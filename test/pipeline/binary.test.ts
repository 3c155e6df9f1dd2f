// Bytes are replaced exactly as often as the pattern says, or not at all.
import fc from 'fast-check';
import t from 'tap';
import { kindOf } from '../../publisher/pipeline/apply/kind.ts';
import { patchBytes } from '../../publisher/pipeline/binary/patch.ts';
import type { BinaryPatch } from '../../publisher/pipeline/pattern/pattern.ts';
import { isIronError } from '../../shared/errors.ts';
import { patternOf } from './support.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

function patch(find: Uint8Array, replace: Uint8Array, count = 1, name = 'p'): BinaryPatch {
  return { name, find, replace, count };
}

function outcome(input: Uint8Array, ...patches: BinaryPatch[]): number[] | string {
  try {
    return Array.from(patchBytes(input, patches).bytes);
  } catch (error) {
    return isIronError(error, 'E_LENGTH') ? error.message : `not ours: ${error}`;
  }
}

t.test('replaced, when the count is right', async (t) => {
  const input = bytes(0, 1, 2, 3, 1, 2);
  t.strictSame(outcome(input, patch(bytes(1, 2), bytes(8, 9), 2)), [0, 8, 9, 3, 8, 9]);
  t.strictSame(outcome(input, patch(bytes(0, 1), bytes(7, 7))), [7, 7, 2, 3, 1, 2]);
  t.strictSame(Array.from(input), [0, 1, 2, 3, 1, 2], 'the input is not touched');
  t.strictSame(patchBytes(input, [patch(bytes(1, 2), bytes(8, 9), 2)]).patched, [
    { name: 'p', offsets: [1, 4] },
  ]);
});

t.test('refused otherwise', async (t) => {
  const input = bytes(0, 1, 2, 3, 1, 2);
  t.match(outcome(input, patch(bytes(1, 2), bytes(8, 9))), /occur more than 1 times, not 1/);
  t.match(outcome(input, patch(bytes(1, 2), bytes(8, 9), 3)), /occur 2 times, not 3/);
  t.match(outcome(input, patch(bytes(9), bytes(8))), /occur 0 times/);
  t.match(outcome(bytes(), patch(bytes(9), bytes(8))), /occur 0 times/);
  t.match(
    outcome(bytes(5, 5, 5), patch(bytes(5, 5), bytes(6, 6), 2)),
    /meet at byte 1/,
    'with itself',
  );
  t.match(
    outcome(
      input,
      patch(bytes(1, 2), bytes(8, 9), 2, 'a'),
      patch(bytes(2, 3), bytes(4, 4), 1, 'b'),
    ),
    /binary_patch.a and binary_patch.b meet/,
  );
});

t.test('patches look for what was there before, not for what others wrote', async (t) => {
  const swap = [patch(bytes(1), bytes(2), 1, 'a'), patch(bytes(2), bytes(1), 1, 'b')];
  t.strictSame(outcome(bytes(1, 2), ...swap), [2, 1]);
  t.strictSame(outcome(bytes(1, 2), ...swap.toReversed()), [2, 1], 'in any order');
});

t.test('nothing moves, and only what was found changes', async (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 64, max: 3 }),
      fc.uint8Array({ minLength: 1, maxLength: 3, max: 3 }),
      fc.integer({ min: 1, max: 4 }),
      (input, find, count) => {
        const replace = find.map((byte) => byte + 100);
        const result = outcome(input, patch(find, replace, count));
        if (typeof result === 'string') return true;
        const changed = result.filter((byte, i) => byte !== input[i]).length;
        return result.length === input.length && changed === count * find.length;
      },
    ),
    { numRuns: 500 },
  );
  t.pass();
});

t.test('a search that a loop would take for ever on', async (t) => {
  const input = new Uint8Array(8 << 20);
  const find = new Uint8Array(4096);
  find[4095] = 1;
  const began = process.cpuUsage();
  t.match(outcome(input, patch(find, find)), /occur 0 times/);
  t.ok(process.cpuUsage(began).user < 5e6);
});

t.test('read from a pattern', async (t) => {
  const { patches } = patternOf(
    {},
    '[binary_patch.ioctl]\nfind = "48 8B 05"\nreplace = "909090"\n',
  );
  t.strictSame(
    patches.map(({ find, replace, count, name }) => [name, [...find], [...replace], count]),
    [['ioctl', [0x48, 0x8b, 5], [0x90, 0x90, 0x90], 1]],
  );
});

t.test('files are told by their names', async (t) => {
  t.strictSame(
    ['a.c', 'a.h', 'A.C', 'a.ll', 'a.bc', 'a.ko', 'a.o', 'c', 'a.c.o', 'dir.c/x'].map(kindOf),
    ['c', 'c', 'c', 'llvm', 'binary', 'binary', 'binary', 'binary', 'binary', 'binary'],
  );
});
