/**
 * Derives a mapping from an original driver and its port: functions of the same name are compared,
 * their calls aligned, and what stands where is counted.
 */

import type { CGrammar } from '../c/grammar.ts';
import { readC } from '../c/read.ts';
import { scanC } from '../c/tokens.ts';
import type { CallSite, CUnit } from '../c/unit.ts';
import { C_KEYWORDS, isCName } from '../pattern/names.ts';
import { UNDECIDED } from '../pattern/pattern.ts';
import type { Entry } from '../pattern/render.ts';
import { order } from '../report.ts';
import { lineCounter } from '../source.ts';
import { type AlignedCall, align } from './align.ts';

/** A name is decided when this share of what was seen agrees. */
const AGREEMENT = 2 / 3;

export interface Derived {
  readonly entries: readonly Entry[];
  /** 0 to 1: the mean over all names of the share that agrees with the entry; 0 for undecided. */
  readonly agreement: number;
  /** Functions with too many calls to be compared. */
  readonly skipped: readonly string[];
  readonly original: CUnit;
}

export function deriveMapping(grammar: CGrammar, original: string, ported: string): Derived {
  const [before, after] = [readC(grammar, original), readC(grammar, ported)];
  const [calls, portedCalls] = [outside(before), outside(after)];
  const { votes, skipped } = vote(
    withWords(original, calls),
    withWords(ported, portedCalls),
    new Set(portedCalls.map(({ name }) => name)),
  );
  const line = lineCounter(original);
  const lines = new Map<string, number[]>();
  for (const { name, start } of calls) lines.set(name, [...(lines.get(name) ?? []), line(start)]);

  let sum = 0;
  const entries = Array.from(lines, ([from, at]): Entry => {
    const { to, share, comment } = decide(votes.get(from) ?? new Map(), at);
    sum += share;
    return { from, to, ...(comment !== undefined && { comment }) };
  });
  const agreement = entries.length === 0 ? 0 : sum / entries.length;
  return { entries, agreement, skipped, original: before };
}

/** Calls of what the file does not have itself, by names that a pattern can hold. */
function outside({ calls, scopes }: CUnit): CallSite[] {
  return calls.filter(
    ({ name, scope }) => isCName(name) && scopes.origin(name, scope) === 'outside',
  );
}

type Votes = Map<string, Map<string, number>>;
type Worded = AlignedCall & { readonly within: string | undefined };

function vote(
  original: readonly Worded[],
  ported: readonly Worded[],
  portedNames: ReadonlySet<string>,
): { votes: Votes; skipped: string[] } {
  const votes: Votes = new Map();
  const skipped: string[] = [];
  const theirs = byFunction(ported);
  for (const [within, mine] of byFunction(original)) {
    const others = theirs.get(within) ?? [];
    const pairs = align(mine, others);
    if (pairs === undefined) skipped.push(within ?? 'file scope');
    for (const [i, j] of pairs ?? []) cast(votes, mine[i]?.name, others[j]?.name);
  }
  // A call that the port has too, in functions that could not be compared: it was kept.
  for (const { name } of original)
    if (!votes.has(name) && portedNames.has(name)) cast(votes, name, name);
  return { votes, skipped };
}

function cast(votes: Votes, from: string | undefined, to: string | undefined): void {
  if (from === undefined || to === undefined) return;
  const counts = votes.get(from) ?? new Map<string, number>();
  votes.set(from, counts.set(to, (counts.get(to) ?? 0) + 1));
}

function byFunction(calls: readonly Worded[]): Map<string | undefined, Worded[]> {
  const groups = new Map<string | undefined, Worded[]>();
  for (const call of calls) {
    const group = groups.get(call.within);
    if (group === undefined) groups.set(call.within, [call]);
    else group.push(call);
  }
  return groups;
}

function decide(
  counts: ReadonlyMap<string, number>,
  lines: readonly number[],
): { to: string; share: number; comment?: string } {
  const ranked = Array.from(counts).sort((a, b) => b[1] - a[1] || order(a[0], b[0]));
  const [best] = ranked;
  const total = ranked.reduce((sum, [, count]) => sum + count, 0);
  if (best !== undefined && best[1] / total >= AGREEMENT) {
    const share = best[1] / total;
    const [to] = best;
    return share === 1 ? { to, share } : { to, share, comment: `${best[1]} of ${total} places` };
  }
  const at = `line ${lines.slice(0, 6).join(', ')}${lines.length > 6 ? ', …' : ''}`;
  const seen = ranked.slice(0, 4).map(([to, count]) => `${to} ${count} times`);
  const comment = seen.length === 0 ? `${at}: nothing in its place` : `${at}: ${seen.join(', ')}`;
  return { to: UNDECIDED, share: 0, comment };
}

/** The calls with the words of their arguments, found in one pass over the tokens. */
function withWords(text: string, calls: readonly CallSite[]): Worded[] {
  const words: { start: number; word: string }[] = [];
  scanC(text, ({ kind, start, end }) => {
    if (kind !== 'name' && kind !== 'number') return;
    const word = text.slice(start, end);
    if (!C_KEYWORDS.has(word)) words.push({ start, word });
  });
  const starts = words.map(({ start }) => start);
  return calls.map(({ name, argumentCount, argumentsStart, argumentsEnd, within }) => {
    const own = new Set<string>();
    // Nested calls would make this quadratic: what counts is said in the first words.
    for (let i = firstAtLeast(starts, argumentsStart); own.size < WORDS_COMPARED; i++) {
      const next = words[i];
      if (next === undefined || next.start >= argumentsEnd) break;
      own.add(next.word);
    }
    return { name, argumentCount, words: own, within };
  });
}

const WORDS_COMPARED = 24;

function firstAtLeast(sorted: readonly number[], value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
