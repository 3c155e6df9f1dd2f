/** A target as its verified entry describes it, and where the tree has it. */

import { IronError } from '../shared/errors.ts';
import { hashPrefixed, tree } from '../shared/layout.ts';
import type { Hashes } from '../shared/tuf/meta-file.ts';
import type { TargetEntry } from '../shared/tuf/targets.ts';

export interface TargetFile {
  readonly path: string;
  readonly length: number;
  readonly hashes: Hashes;
  /** Its path in the tree. */
  readonly place: string;
}

/** What to fetch for a verified entry (TUF 5.7.3: hash-prefixed under consistent snapshots). */
export function targetFile(entry: TargetEntry, consistentSnapshot: boolean): TargetFile {
  const { path, length, hashes } = entry;
  const digest = hashes.get('sha256') ?? hashes.get('sha512') ?? '';
  const place = consistentSnapshot
    ? `${tree.targetsFolder}/${hashPrefixed(path, digest)}`
    : `${tree.targetsFolder}/${path}`;
  return { path, length, hashes, place };
}

/** Throws `E_LENGTH` or `E_HASH` unless these bytes, as measured, are the signed ones (TUF 5.7.2). */
export function verifyMeasured(target: TargetFile, length: number, digests: Hashes): void {
  const hint = 'nothing was installed; the mirror is incomplete or altered: try another one';
  if (length !== target.length) {
    throw new IronError(
      'E_LENGTH',
      `${target.path} has ${length} bytes where ${target.length} were signed`,
      { hint, context: { expected: target.length, actual: length } },
    );
  }
  // Every digest that was signed and that we compute; parseHashes saw to it that there is one.
  for (const [algorithm, expected] of target.hashes) {
    const actual = digests.get(algorithm);
    if (actual === expected) continue;
    throw new IronError(
      'E_HASH',
      `${target.path} does not have the ${algorithm} digest that was signed`,
      {
        why: `expected ${expected.slice(0, 16)}…, found ${actual?.slice(0, 16)}…`,
        hint,
        context: { expected, actual: actual ?? '' },
      },
    );
  }
}
