/** Applies a mapping to a C source: the names of calls change, and not one byte else. */

import type { Mapping } from '../pattern/pattern.ts';
import { isUndecided } from '../pattern/pattern.ts';
import { type Report, ReportBuilder } from '../report.ts';
import { type Edit, lineCounter, splice } from '../source.ts';
import type { CGrammar } from './grammar.ts';
import { readC } from './read.ts';
import type { CallSite, CUnit } from './unit.ts';

export interface Renamed {
  readonly text: string;
  readonly report: Report;
}

/**
 * Renames the calls of `text` by `mapping`, in one pass: the result of one entry is not looked up
 * again. Everything that could be meant and is not renamed is in the report.
 */
export function renameC(grammar: CGrammar, text: string, mapping: Mapping): Renamed {
  const unit = readC(grammar, text, changed(mapping));
  const line = lineCounter(text);
  const report = new ReportBuilder();
  const edits: Edit[] = [];
  for (const call of unit.calls) {
    const to = decide(unit, call, mapping, report, line(call.start));
    if (to === undefined) continue;
    edits.push({ start: call.start, end: call.end, text: to });
    report.rename(call.name, to, line(call.start));
  }
  for (const at of unit.indirect) report.find('indirect-call', '', line(at));
  for (const { start } of unit.unreadable) report.find('unreadable', '', line(start));
  for (const at of unit.assembly) report.find('assembly', '', line(at));
  for (const { name, start, use } of unit.others) report.find(use, name, line(start));
  return { text: splice(text, edits), report: report.report() };
}

/** The new name of a call, or undefined when it keeps its own; says why in the report. */
function decide(
  { scopes }: CUnit,
  { name, scope }: CallSite,
  mapping: Mapping,
  report: ReportBuilder,
  line: number,
): string | undefined {
  const to = mapping.get(name);
  const origin = scopes.origin(name, scope);
  if (origin === 'variable') report.find('indirect-call', name, line);
  else if (origin === 'defined') {
    // The definition keeps its name, so its calls do.
    if (to !== undefined && to !== name) report.find('own-function', name, line);
  } else if (to === undefined) report.find('unknown-call', name, line);
  else if (isUndecided(to)) report.find('undecided-call', name, line);
  else if (to === name) report.keep();
  else if (scopes.origin(to, scope) === 'variable') report.find('shadowed', name, line);
  else return to;
  return undefined;
}

/** The names that the mapping would change: these are watched for in other places. */
function changed(mapping: Mapping): Set<string> {
  const names = new Set<string>();
  for (const [from, to] of mapping) if (to !== from && !isUndecided(to)) names.add(from);
  return names;
}
