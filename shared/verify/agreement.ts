/**
 * What several repositories say of one target path, and whether enough of them say the same
 * (TAP 4). Pure: who asks the repositories is a driver; what their words amount to is decided here.
 */

import { IronError } from '../errors.ts';
import type { MapFile, Mapping } from '../tuf/map-file.ts';
import { parseTargetPath } from '../tuf/names.ts';
import { patternMatcher } from '../tuf/path-pattern.ts';
import type { TargetEntry } from '../tuf/targets.ts';

/** What one repository said. */
export type Word =
  | {
      readonly kind: 'listed';
      readonly entry: Pick<TargetEntry, 'length' | 'hashes'>;
      /** Identities of the keys of its root: what makes one repository another than the next. */
      readonly rootKeys: ReadonlySet<string>;
    }
  /** Verified up to date, and nobody in it who may speak for the path lists it; `why`, where that is known. */
  | { readonly kind: 'absent'; readonly why?: string }
  /** It cannot be asked, or what it said did not verify. */
  | { readonly kind: 'failed'; readonly error: IronError }
  /** Verified, and it says no: revoked or withdrawn. */
  | { readonly kind: 'denied'; readonly error: IronError };

export interface Agreement {
  readonly mapping: Mapping;
  /** Repositories that counted, in the order of the mapping; at least `threshold`. */
  readonly agreed: readonly string[];
  /** What each repository of the mapping said. */
  readonly words: ReadonlyMap<string, Word>;
}

/**
 * Yields the repositories to ask, mapping by mapping, and returns the first agreement. Throws
 * `E_TARGET_UNKNOWN` when nobody lists the path, `E_NOT_AGREED` when they do not agree or cannot be
 * asked, and what a repository denied the target with.
 */
export function* agree(
  map: MapFile,
  path: string,
): Generator<Mapping, Agreement, ReadonlyMap<string, Word>> {
  const matches = patternMatcher(parseTargetPath(path));
  const said: string[] = [];
  let isListed = false;
  // TAP 4, searching 1: in the order of the file.
  for (const mapping of map.mapping) {
    if (!mapping.paths.some(matches)) continue;
    const words = yield mapping;
    for (const [name, word] of words) {
      said.push(`${name}: ${inWords(word)}`);
      if (word.kind === 'denied') throw deniedBy(name, word.error);
    }
    const agreed = decide(mapping, words, path, said);
    if (agreed !== undefined) return { mapping, agreed, words };
    isListed ||= [...words.values()].some(({ kind }) => kind !== 'absent');
    // TAP 4, searching 5.1
    if (mapping.terminating) break;
  }
  if (isListed) throw notAgreed(path, 'too few repositories say the same of it', said);
  throw new IronError('E_TARGET_UNKNOWN', `no repository of the map lists ${path}`, {
    why: said.length === 0 ? 'no mapping has a pattern for it' : said.join('; '),
    hint: 'nothing was changed; "*" in a pattern does not cross "/": "*/*/*/*" is for all drivers',
    context: { path },
  });
}

/** Who agreed; undefined to go on with the next mapping. */
function decide(
  { threshold, repositories }: Mapping,
  words: ReadonlyMap<string, Word>,
  path: string,
  said: readonly string[],
): readonly string[] | undefined {
  const groups = new Map<string, { names: string[]; keys: Set<string> }>();
  let failed = 0;
  let largest = 0;
  for (const name of repositories) {
    const word = words.get(name);
    if (word === undefined || word.kind === 'failed') failed++;
    if (word?.kind !== 'listed') continue;
    const text = formOf(word.entry);
    const group = groups.get(text) ?? { names: [], keys: new Set() };
    groups.set(text, group);
    // One root under two names is one repository: it counts once.
    if ([...word.rootKeys].some((key) => group.keys.has(key))) continue;
    for (const key of word.rootKeys) group.keys.add(key);
    group.names.push(name);
    largest = Math.max(largest, group.names.length);
  }
  // TAP 4, searching 3 and 4: length and hashes; custom is exempt.
  const reached = [...groups.values()].filter(({ names }) => names.length >= threshold);
  if (reached.length === 1) return reached[0]?.names;
  // Two answers that are both good enough are none.
  if (reached.length > 1)
    throw notAgreed(path, 'two groups of repositories, each large enough, contradict', said);
  // Whoever can keep a repository from being heard does not choose the next mapping for us.
  if (largest + failed >= threshold && failed > 0)
    throw notAgreed(path, `${failed} of its repositories could not be asked`, said);
  return undefined;
}

/** Whether repositories say different things of one path: other bytes, or one of them a no. */
export function isContradicted(words: ReadonlyMap<string, Word>): boolean {
  const forms = new Set<string>();
  for (const word of words.values()) {
    if (word.kind === 'denied') return true;
    if (word.kind === 'listed') forms.add(formOf(word.entry));
  }
  return forms.size > 1;
}

/** Whether two listings are of the same bytes, as agreements count: length and hashes (TAP 4). */
export function isSameTarget(
  a: Pick<TargetEntry, 'length' | 'hashes'>,
  b: Pick<TargetEntry, 'length' | 'hashes'>,
): boolean {
  return formOf(a) === formOf(b);
}

/** One text for one length and one set of hashes. */
function formOf({ length, hashes }: Pick<TargetEntry, 'length' | 'hashes'>): string {
  return [length, ...[...hashes].map(([name, digest]) => `${name}:${digest}`).sort()].join(' ');
}

/** A line about a word, for messages. */
export function inWords(word: Word): string {
  switch (word.kind) {
    case 'listed': {
      const [[name, digest] = ['', '']] = word.entry.hashes;
      return `${word.entry.length} bytes, ${name} ${digest.slice(0, 16)}…`;
    }
    case 'absent':
      return word.why ?? 'does not list it';
    default:
      return `${word.error.code}, ${word.error.message}`;
  }
}

function notAgreed(path: string, why: string, said: readonly string[]): IronError {
  return new IronError('E_NOT_AGREED', `the repositories of the map do not agree about ${path}`, {
    why: `${why}: ${said.join('; ')}`,
    hint: 'nothing was changed; ask those who run the repositories which of them is right',
    context: { path },
  });
}

function deniedBy(name: string, error: IronError): IronError {
  const { code, message, why, hint, context } = error;
  return new IronError(code, `${name}: ${message}`, {
    ...(why === undefined ? {} : { why }),
    ...(hint === undefined ? {} : { hint }),
    context: { ...context, repository: name },
    cause: error,
  });
}
