/** What the tests of the pipeline share. */

import { scanC } from '../../publisher/pipeline/c/tokens.ts';
import { type Pattern, parsePattern } from '../../publisher/pipeline/pattern/pattern.ts';
import { utf8 } from '../../shared/bytes.ts';
import { PIPELINE_LIMITS } from '../../shared/limits.ts';

export interface Difference {
  readonly before: string;
  readonly after: string;
}

/**
 * The tokens in which two C sources differ, comments among them; `undefined` when they differ in
 * more than the spelling of single tokens. What stands between the tokens must be equal.
 */
export function tokenDifferences(before: string, after: string): Difference[] | undefined {
  const [a, b] = [pieces(before), pieces(after)];
  if (a.length !== b.length) return undefined;
  const differences: Difference[] = [];
  for (let i = 0; i < a.length; i++) {
    const [left, right] = [a[i] as Piece, b[i] as Piece];
    if (left.text === right.text && left.kind === right.kind) continue;
    if (left.kind !== 'name' || right.kind !== 'name') return undefined;
    differences.push({ before: left.text, after: right.text });
  }
  return differences;
}

interface Piece {
  readonly kind: string;
  readonly text: string;
}

/** All of a text: its tokens, and what stands between them. */
function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let at = 0;
  scanC(text, ({ kind, start, end }) => {
    found.push(
      { kind: 'gap', text: text.slice(at, start) },
      { kind, text: text.slice(start, end) },
    );
    at = end;
  });
  found.push({ kind: 'gap', text: text.slice(at) });
  return found;
}

/** A pattern file with a mapping and whatever else. */
export function patternText(mapping: Readonly<Record<string, string>>, rest = ''): string {
  const entries = Object.entries(mapping).map(
    ([from, to]) => `${JSON.stringify(from)} = ${JSON.stringify(to)}`,
  );
  return `[metadata]\nversion = "1"\nconfidence = 1.0\nreview_required = false\n${rest}\n[mapping]\n${entries.join('\n')}\n`;
}

/** What is no version, kernel or family of a pattern. */
export const BAD_LABELS: readonly (readonly [what: string, text: string])[] = [
  ['nothing', ''],
  ['a blank', ' '],
  ['blanks', '  \t '],
  ['a blank before', ' 1.0'],
  ['a blank behind', '1.0 '],
  ['a line end', '1.0\n[mapping]'],
  ['a carriage return', '1.0\r'],
  ['a zero byte', '1\u00000'],
  ['an escape of a terminal', '\u001b[2J1.0'],
  ['a delete', '1.0\u007f'],
  ['a space that is none of ASCII', '1\u00a00'],
  ['text that turns around', '1.0\u202e'],
  ['a letter that looks like another', '\u0435du'],
  ['one character too many', 'x'.repeat(PIPELINE_LIMITS.label + 1)],
  ['a huge one', 'x'.repeat(1_000_000)],
];

export function patternOf(mapping: Readonly<Record<string, string>>, rest = ''): Pattern {
  return parsePattern(utf8(patternText(mapping, rest)));
}
