/**
 * Puts proposals into a pattern file as a person would: entries that say UNKNOWN are filled in, new
 * ones go to the end of `[mapping]`, and every other line stays, comments included. The result is
 * read again and compared with what was meant; if the file is written in a way that this does not
 * follow, nothing is guessed.
 */

import { utf8 } from '../../../shared/bytes.ts';
import { IronError } from '../../../shared/errors.ts';
import { isUndecided, type Pattern, parsePattern } from '../pattern/pattern.ts';
import { type Entry, entryLine, tomlFloat, tomlKey } from '../pattern/render.ts';

/** A suggestion is never more sure than this. */
export const SUGGESTED_CONFIDENCE = 0.5;

/** The new text of the file; `E_CONFLICT` when its form is one that cannot be edited safely. */
export function insertProposals(
  text: string,
  pattern: Pattern,
  proposals: readonly Entry[],
): string {
  const lines = text.split('\n');
  fillIn(lines, pattern, proposals);
  append(
    lines,
    proposals.filter(({ from }) => !pattern.mapping.has(from)),
  );
  const confidence = Math.min(pattern.metadata.confidence, SUGGESTED_CONFIDENCE);
  setMetadata(lines, 'review_required', 'true');
  setMetadata(lines, 'confidence', tomlFloat(confidence));
  const result = lines.join('\n');
  assertMeant(result, pattern, proposals, confidence);
  return result;
}

/** `kfree = "UNKNOWN"  # what the person says`. */
const OPEN_ENTRY =
  /^[ \t]*(?:"([^"\\]+)"|'([^']+)'|([A-Za-z0-9_-]+))[ \t]*=[ \t]*(?:"UNKNOWN"|'UNKNOWN')[ \t]*(?:#(.*?))?\r?$/;

/** What the lines of the file end with, besides the line feed. */
function lineEnd(lines: readonly string[]): string {
  return lines[0]?.endsWith('\r') === true ? '\r' : '';
}

/** The lines of a section: from behind its header to the next one. */
function section(lines: readonly string[], name: string): { from: number; to: number } | undefined {
  const header = new RegExp(`^[ \\t]*\\[[ \\t]*${name}[ \\t]*\\][ \\t]*(#.*)?\\r?$`);
  const at = lines.findIndex((line) => header.test(line));
  if (at === -1) return undefined;
  const next = lines.findIndex((line, i) => i > at && /^[ \t]*\[/.test(line));
  return { from: at + 1, to: next === -1 ? lines.length : next };
}

function fillIn(lines: string[], pattern: Pattern, proposals: readonly Entry[]): void {
  const place = section(lines, 'mapping');
  const open = new Map(
    proposals
      .filter(({ from }) => isUndecided(pattern.mapping.get(from) ?? ''))
      .map((entry) => [entry.from, entry]),
  );
  for (let i = place?.from ?? 0; i < (place?.to ?? 0); i++) {
    const [, basic, literal, bare, own] = OPEN_ENTRY.exec(lines[i] ?? '') ?? [];
    const entry = open.get(basic ?? literal ?? bare ?? '');
    if (entry === undefined) continue;
    // What the person wrote behind it stays in front of what we say.
    const comment = [own?.trim(), entry.comment].filter((part) => part !== undefined).join('; ');
    lines[i] = entryLine({ ...entry, comment }) + lineEnd(lines);
  }
}

function append(lines: string[], entries: readonly Entry[]): void {
  if (entries.length === 0) return;
  const added = entries.map((entry) => entryLine(entry) + lineEnd(lines));
  const place = section(lines, 'mapping');
  if (place === undefined) {
    lines.push(`[mapping]${lineEnd(lines)}`, ...added, '');
    return;
  }
  let end = place.to;
  while (end > place.from && (lines[end - 1] ?? '').trim() === '') end--;
  lines.splice(end, 0, ...added);
}

function setMetadata(lines: string[], key: string, value: string): void {
  const place = section(lines, 'metadata');
  if (place === undefined) return;
  const form = new RegExp(`^([ \\t]*${tomlKey(key)}[ \\t]*=[ \\t]*)("[^"]*"|[^ \\t#\\r]+)`);
  for (let i = place.from; i < place.to; i++) {
    const line = lines[i] ?? '';
    const [whole, before] = form.exec(line) ?? [];
    if (whole === undefined || before === undefined) continue;
    lines[i] = before + value + line.slice(whole.length);
    return;
  }
  lines.splice(place.from, 0, `${key} = ${value}${lineEnd(lines)}`);
}

/** The edited file says what the old one said, and the proposals, and nothing else. */
function assertMeant(
  text: string,
  before: Pattern,
  proposals: readonly Entry[],
  confidence: number,
): void {
  const refuse = (cause?: unknown): IronError =>
    new IronError('E_CONFLICT', 'this pattern file cannot be edited line by line', {
      why: 'its [mapping] or [metadata] is written in a way that the edit does not follow',
      hint: 'nothing was written; write one entry a line under [mapping] and [metadata]',
      cause,
    });
  let after: Pattern;
  try {
    after = parsePattern(utf8(text));
  } catch (cause) {
    throw refuse(cause);
  }
  const mapping = new Map(before.mapping);
  for (const { from, to } of proposals) mapping.set(from, to);
  const metadata = { ...before.metadata, reviewRequired: true, confidence };
  const comparable = (pattern: Pattern): string =>
    JSON.stringify({
      ...pattern,
      mapping: Array.from(pattern.mapping).sort(),
      patches: pattern.patches.map(({ find, replace, ...rest }) => [rest, ...find, ...replace]),
    });
  if (comparable(after) !== comparable({ ...before, mapping, metadata })) throw refuse();
}
