/** Proposals for calls that a pattern does not decide: guesses from how it names the others. */

import type { CGrammar } from '../c/grammar.ts';
import { readC } from '../c/read.ts';
import { isCName } from '../pattern/names.ts';
import { isUndecided, type Mapping } from '../pattern/pattern.ts';
import type { Entry } from '../pattern/render.ts';
import { order } from '../report.ts';
import { lineCounter } from '../source.ts';

/** What IronShim put before a name. */
const SHIM = 'shim_';

/** Proposals for the calls of `text`, sorted by name. */
export function propose(grammar: CGrammar, text: string, mapping: Mapping): Entry[] {
  const { calls, scopes } = readC(grammar, text);
  const line = lineCounter(text);
  const open = new Map<string, { lines: number[]; isLoop: boolean }>();
  for (const { name, start, scope, isLoop } of calls) {
    const to = mapping.get(name);
    if (to !== undefined && !isUndecided(to)) continue;
    if (!isCName(name) || scopes.origin(name, scope) !== 'outside') continue;
    const seen = open.get(name) ?? { lines: [], isLoop: false };
    seen.lines.push(line(start));
    open.set(name, { lines: seen.lines, isLoop: seen.isLoop || isLoop });
  }
  const rules = learnRules(mapping);
  return Array.from(open, ([from, { lines, isLoop }]) => {
    const { to, why } = guess(from, isLoop, rules);
    const at = `line ${lines.slice(0, 4).join(', ')}${lines.length > 4 ? ', …' : ''}`;
    return { from, to, comment: `suggested, ${why}; ${at}` };
  }).sort((a, b) => order(a.from, b.from));
}

/** How a pattern names the port's calls: what it puts before those of one family, and of all. */
interface Rules {
  readonly family: ReadonlyMap<string, string>;
  readonly all: string | undefined;
}

/** Rules are learnt from entries that only put something before the name, and from two at least. */
function learnRules(mapping: Mapping): Rules {
  const byFamily = new Map<string, Map<string, number>>();
  const all = new Map<string, number>();
  for (const [from, to] of mapping) {
    if (isUndecided(to) || !to.endsWith(from) || to === from) continue;
    const prefix = to.slice(0, -from.length);
    const family = byFamily.get(familyOf(from)) ?? new Map<string, number>();
    byFamily.set(familyOf(from), family.set(prefix, (family.get(prefix) ?? 0) + 1));
    all.set(prefix, (all.get(prefix) ?? 0) + 1);
  }
  const family = new Map<string, string>();
  for (const [name, counts] of byFamily) {
    const prefix = mostOf(counts);
    if (prefix !== undefined) family.set(name, prefix);
  }
  return { family, all: mostOf(all) };
}

function mostOf(counts: ReadonlyMap<string, number>): string | undefined {
  const [best] = Array.from(counts).sort((a, b) => b[1] - a[1] || order(a[0], b[0]));
  return best !== undefined && best[1] >= 2 ? best[0] : undefined;
}

/** `pci_` of `pci_read_config_byte`. */
function familyOf(name: string): string {
  return /^[A-Za-z0-9]+_/.exec(name)?.[0] ?? name;
}

function guess(from: string, isLoop: boolean, rules: Rules): { to: string; why: string } {
  if (isLoop) return { to: from, why: 'a macro that makes a loop' };
  if (/^[A-Z0-9_$]+$/.test(from)) return { to: from, why: 'a macro by its name' };
  if (from.startsWith('__builtin_')) return { to: from, why: 'part of the compiler' };
  const family = rules.family.get(familyOf(from));
  if (family !== undefined) return { to: family + from, why: `like other ${familyOf(from)} calls` };
  if (rules.all !== undefined) return { to: rules.all + from, why: 'like the other entries' };
  return { to: SHIM + from, why: 'by the name alone' };
}
