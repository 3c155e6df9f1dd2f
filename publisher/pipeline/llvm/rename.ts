/**
 * Applies a mapping to LLVM text: the callees of calls change. A module must declare what it calls,
 * so the declaration of an old name is repeated for the new one, unless the module knows that
 * already; the old one stays, for other uses of the name and because an unused one does no harm.
 */

import { isUndecided, type Mapping } from '../pattern/pattern.ts';
import { type Report, ReportBuilder } from '../report.ts';
import { type Edit, lineCounter, splice } from '../source.ts';
import { type LlvmFunction, type LlvmUnit, readLlvm } from './calls.ts';

/** Renames the calls of `text` by `mapping`, in one pass. */
export function renameLlvm(text: string, mapping: Mapping): { text: string; report: Report } {
  const unit = readLlvm(text);
  const line = lineCounter(text);
  const report = new ReportBuilder();
  const edits: Edit[] = [];
  const defined = new Set(unit.others);
  for (const { kind, name } of unit.functions) if (kind === 'define') defined.add(name);
  const used = new Map<string, string>();

  for (const { name, start, end } of unit.calls) {
    const to = decide(name, mapping, defined, report, line(start));
    if (to === undefined) continue;
    edits.push({ start, end, text: `@${to}` });
    report.rename(name, to, line(start));
    used.set(name, to);
  }
  edits.push(...declarations(text, unit, used, defined));
  for (const { name, start } of unit.values) {
    const to = mapping.get(name);
    if (to !== undefined && to !== name && !isUndecided(to))
      report.find('value', name, line(start));
  }
  for (const at of unit.indirect) report.find('indirect-call', '', line(at));
  for (const at of unit.assembly) report.find('assembly', '', line(at));
  return { text: splice(text, edits), report: report.report() };
}

function decide(
  name: string,
  mapping: Mapping,
  defined: ReadonlySet<string>,
  report: ReportBuilder,
  line: number,
): string | undefined {
  const to = mapping.get(name);
  if (defined.has(name)) {
    if (to !== undefined && to !== name) report.find('own-function', name, line);
  } else if (to === undefined) {
    // LLVM's own functions are part of the language.
    if (!name.startsWith('llvm.')) report.find('unknown-call', name, line);
  } else if (isUndecided(to)) report.find('undecided-call', name, line);
  else if (to === name) report.keep();
  else return to;
  return undefined;
}

/** A declaration of each new name, behind that of the first old one that maps to it. */
function declarations(
  text: string,
  { functions }: LlvmUnit,
  used: ReadonlyMap<string, string>,
  defined: ReadonlySet<string>,
): Edit[] {
  const known = new Set([...defined, ...functions.map(({ name }) => name)]);
  const edits: Edit[] = [];
  for (const declaration of functions) {
    const to = used.get(declaration.name);
    if (declaration.kind !== 'declare' || to === undefined || known.has(to)) continue;
    known.add(to);
    const { lineEnd } = declaration;
    edits.push({ start: lineEnd, end: lineEnd, text: `\n${declarationOf(text, declaration, to)}` });
  }
  return edits;
}

function declarationOf(text: string, declaration: LlvmFunction, to: string): string {
  const { lineStart, start, end, lineEnd } = declaration;
  // The debug information is that of the old name.
  const before = text.slice(lineStart, start).replace(/^declare( !dbg ![0-9]+)?/, 'declare');
  return `${before}@${to}${text.slice(end, lineEnd)}`;
}
