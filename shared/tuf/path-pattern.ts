/** Path patterns of delegations: `*` and `?` within a segment, nothing else (TUF 1.0.34 4.5). */

import { IronError } from '../errors.ts';
import { METADATA_LIMITS } from '../limits.ts';

/** Whether `path` matches `pattern`. Wildcards never match `/`, so segments match one by one. */
export function matchesPattern(pattern: string, path: string): boolean {
  return patternMatcher(path)(pattern);
}

/**
 * Tries patterns on one path. One pattern costs no more than the product of two lengths, but a
 * file can hold ten thousand that are made to cost as much; `E_DELEGATION` when all of them
 * together take more steps than the limit.
 */
export function patternMatcher(
  path: string,
  effort: Effort = { left: METADATA_LIMITS.patternSteps },
): (pattern: string) => boolean {
  const segments = path.split('/').map(units);
  return (pattern) => {
    // To take it apart costs its length, also when it then has too many segments to match.
    effort.left -= pattern.length;
    if (effort.left <= 0) throw tooCostly();
    const parts = pattern.split('/');
    return (
      parts.length === segments.length &&
      parts.every(
        (part, i) =>
          part === '*' || matchesSegment(units(part), segments[i] as ArrayLike<string>, effort),
      )
    );
  };
}

/** Steps that may still be taken; whoever matches many paths gives one budget for all of them. */
export interface Effort {
  left: number;
}

/** Characters as people count them: `?` stands for one code point, not for half of one. */
function units(text: string): ArrayLike<string> {
  return /[\ud800-\udfff]/.test(text) ? Array.from(text) : text;
}

/**
 * Glob matching without recursion: on a mismatch it goes back to the last `*` only, so the time
 * is at most the product of the two lengths, whatever a hostile pattern looks like.
 */
function matchesSegment(
  pattern: ArrayLike<string>,
  text: ArrayLike<string>,
  effort: Effort,
): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let starText = 0;
  while (t < text.length) {
    if (effort.left-- <= 0) throw tooCostly();
    if (pattern[p] === '*') {
      star = p++;
      starText = t;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++starText;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}

function tooCostly(): IronError {
  return new IronError('E_DELEGATION', 'the path patterns of a role are too costly to match', {
    hint: 'nothing was changed; who signs the role must write fewer or simpler patterns',
  });
}
