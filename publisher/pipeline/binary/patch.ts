/** Exact replacement of bytes in a file that is not text. */

import { toHex } from '../../../shared/bytes.ts';
import { IronError } from '../../../shared/errors.ts';
import type { BinaryPatch } from '../pattern/pattern.ts';

/** Where a patch was applied: offsets into the file. */
export interface Patched {
  readonly name: string;
  readonly offsets: readonly number[];
}

/**
 * Applies all patches to `bytes` as they came, none to the result of another. `E_LENGTH` when one
 * of them does not occur exactly as often as it says, or two of them meet.
 */
export function patchBytes(
  bytes: Uint8Array,
  patches: readonly BinaryPatch[],
): { bytes: Uint8Array; patched: Patched[] } {
  const patched = patches.map((patch) => ({
    name: patch.name,
    offsets: occurrences(bytes, patch),
  }));
  refuseMeeting(patches, patched);
  const result = bytes.slice();
  patches.forEach((patch, i) => {
    for (const offset of patched[i]?.offsets ?? []) result.set(patch.replace, offset);
  });
  return { bytes: result, patched };
}

function occurrences(bytes: Uint8Array, patch: BinaryPatch): number[] {
  const { name, find, count } = patch;
  const offsets: number[] = [];
  const found = view(bytes);
  // Past one too many, the rest does not matter.
  for (
    let at = found.indexOf(find, 0);
    at !== -1 && offsets.length <= count;
    at = found.indexOf(find, at + 1)
  )
    offsets.push(at);
  if (offsets.length !== count) {
    const times = offsets.length > count ? `more than ${count}` : `${offsets.length}`;
    throw new IronError(
      'E_LENGTH',
      `binary_patch.${name}: its bytes occur ${times} times, not ${count}`,
      {
        why: 'this is not the file that the pattern was written for',
        hint: 'nothing was written; look at the file, and change find or count',
        context: { patch: name, expected: count, find: toHex(find).slice(0, 64) },
      },
    );
  }
  return offsets;
}

/** Node's search is a good one (it does not go quadratic where a loop would). */
function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function refuseMeeting(patches: readonly BinaryPatch[], patched: readonly Patched[]): void {
  const ranges = patched
    .flatMap(({ name, offsets }, i) =>
      offsets.map((start) => ({ name, start, end: start + (patches[i]?.find.length ?? 0) })),
    )
    .sort((a, b) => a.start - b.start);
  for (let i = 1; i < ranges.length; i++) {
    const [before, range] = [ranges[i - 1], ranges[i]];
    if (before === undefined || range === undefined || range.start >= before.end) continue;
    throw new IronError(
      'E_LENGTH',
      `binary_patch.${before.name} and binary_patch.${range.name} meet at byte ${range.start}`,
      { why: 'the result would depend on their order', hint: 'nothing was written' },
    );
  }
}
