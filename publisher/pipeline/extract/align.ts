/**
 * Which call of a port stands where which call of the original stood: a global alignment of the
 * two sequences of calls of one function (Needleman and Wunsch, 1970).
 */

import { PIPELINE_LIMITS } from '../../../shared/limits.ts';

export interface AlignedCall {
  readonly name: string;
  readonly argumentCount: number;
  /** The names and numbers in its arguments. */
  readonly words: ReadonlySet<string>;
}

const SAME_NAME = 6;
const SAME_COUNT = 2;
const SAME_WORDS = 3;
/** What another name costs: alone it is worth less than leaving both out. */
const OTHER_NAME = -2;

/** Pairs of indices, in order. Undefined when the function has too many calls to compare. */
export function align(
  original: readonly AlignedCall[],
  ported: readonly AlignedCall[],
): [number, number][] | undefined {
  const [rows, columns] = [original.length, ported.length];
  if (rows * columns > PIPELINE_LIMITS.alignment) return undefined;
  const width = columns + 1;
  const best = new Float64Array((rows + 1) * width);
  for (let i = rows - 1; i >= 0; i--)
    for (let j = columns - 1; j >= 0; j--)
      best[i * width + j] = Math.max(
        likeness(original[i], ported[j]) + at(best, (i + 1) * width + j + 1),
        at(best, (i + 1) * width + j),
        at(best, i * width + j + 1),
      );
  const pairs: [number, number][] = [];
  for (let i = 0, j = 0; i < rows && j < columns; ) {
    const here = at(best, i * width + j);
    const score = likeness(original[i], ported[j]);
    if (score > 0 && here === score + at(best, (i + 1) * width + j + 1)) pairs.push([i++, j++]);
    else if (here === at(best, (i + 1) * width + j)) i++;
    else j++;
  }
  return pairs;
}

function at(values: Float64Array, index: number): number {
  return values[index] ?? 0;
}

/** How much two calls look like the same call; not above 0 when they have nothing in common. */
function likeness(a: AlignedCall | undefined, b: AlignedCall | undefined): number {
  if (a === undefined || b === undefined) return 0;
  const name = a.name === b.name ? SAME_NAME : OTHER_NAME;
  const count = a.argumentCount === b.argumentCount ? SAME_COUNT : 0;
  return name + count + SAME_WORDS * sharedShare(a.words, b.words);
}

/**
 * The share of the words of the shorter list that the other has too: a port often passes what the
 * original passed and a handle more. Two empty lists are equal.
 */
function sharedShare(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  if (a.size === 0 || b.size === 0) return a.size === b.size ? 1 : 0;
  let shared = 0;
  for (const word of a) if (b.has(word)) shared++;
  return shared / Math.min(a.size, b.size);
}
