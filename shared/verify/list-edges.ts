/**
 * The edges of many paths through the same files. A table of contents asks for every path of a
 * repository; trying each on every delegation would let one vendor's forty thousand paths cost
 * minutes, and an honest repository of a thousand vendors as well.
 */

import type { Crypto } from '../crypto/crypto.ts';
import { type DelegatedRole, type Delegations, type Edge, edgesFor } from '../tuf/delegations.ts';
import type { Effort } from '../tuf/path-pattern.ts';

/** Delegations by the first segment that their patterns demand, as places in the file's order. */
interface Prepared {
  readonly byFirst: ReadonlyMap<string, readonly number[]>;
  /** Those that a first segment alone does not rule out. */
  readonly always: readonly number[];
}

export class ListEdges {
  readonly #crypto: Crypto;
  readonly #prepared = new WeakMap<Delegations, Prepared>();
  /** What may still be spent; whoever lists sets another one for another branch. */
  effort: Effort;

  constructor(crypto: Crypto, effort: Effort) {
    this.#crypto = crypto;
    this.effort = effort;
  }

  /** What `edgesFor` finds, in the same order, with the steps taken from `effort`. */
  readonly edges = (delegations: Delegations, path: string): readonly Edge[] => {
    const { effort } = this;
    const roles = this.#candidates(delegations, path);
    // Each costs at least one step, also those that are matched by the hash of the path.
    effort.left -= roles.reduce((sum, { scope }) => sum + costOf(scope), 1);
    return edgesFor(this.#crypto, { ...delegations, roles }, path, effort);
  };

  #candidates(delegations: Delegations, path: string): readonly DelegatedRole[] {
    let prepared = this.#prepared.get(delegations);
    if (prepared === undefined) {
      prepared = prepare(delegations.roles);
      this.#prepared.set(delegations, prepared);
    }
    const { byFirst, always } = prepared;
    const named = byFirst.get(path.split('/', 1)[0] as string) ?? [];
    const places = always.length === 0 ? named : [...named, ...always].sort((a, b) => a - b);
    return places.map((place) => delegations.roles[place] as DelegatedRole);
  }
}

function costOf(scope: DelegatedRole['scope']): number {
  return 'paths' in scope ? scope.paths.length : scope.hashPrefixes.length;
}

function prepare(roles: readonly DelegatedRole[]): Prepared {
  const byFirst = new Map<string, number[]>();
  const always: number[] = [];
  for (const [place, { scope }] of roles.entries()) {
    const firsts = 'paths' in scope ? literalFirsts(scope.paths) : undefined;
    if (firsts === undefined) {
      always.push(place);
      continue;
    }
    for (const first of firsts) {
      const places = byFirst.get(first);
      if (places === undefined) byFirst.set(first, [place]);
      else places.push(place);
    }
  }
  return { byFirst, always };
}

/** The first segments of patterns, or undefined when one of them has a wildcard in it. */
function literalFirsts(patterns: readonly string[]): ReadonlySet<string> | undefined {
  const firsts = new Set<string>();
  for (const pattern of patterns) {
    const first = pattern.split('/', 1)[0] as string;
    if (/[*?]/.test(first)) return undefined;
    firsts.add(first);
  }
  return firsts;
}
