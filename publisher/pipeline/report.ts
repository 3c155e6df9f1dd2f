/** What a run of the pipeline did and what it did not understand, place by place. */

import type { Node } from '../../shared/json/decode.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';

/** Every kind of thing that is reported, and what it means to the person who reads it. */
export const FINDINGS = {
  'unknown-call': 'called, and the pattern has no entry for it',
  'undecided-call': 'called, and its entry says UNKNOWN',
  'own-function': 'in the mapping, but this file defines it itself: left as it is',
  shadowed: 'not renamed: a variable of the new name would be called instead',
  'indirect-call': 'called through a pointer: no name to map',
  value: 'in the mapping, but used as a value here: left as it is',
  declaration: 'in the mapping, but declared or used as a type here: left as it is',
  'macro-body': 'in the mapping, but in the body of a macro: left as it is',
  preprocessor: 'in the mapping, but in a preprocessor directive: left as it is',
  attribute: 'in the mapping, but in an attribute: left as it is',
  parenthesised:
    'in the mapping, but called in parentheses, which asks for no macro: left as it is',
  spliced: 'in the mapping, but broken over lines by a backslash: left as it is',
  unreadable: 'the grammar could not read this: nothing in it was renamed',
  assembly: 'inline assembly: not looked into',
} as const;
export type FindingKind = keyof typeof FINDINGS;

export interface Finding {
  readonly kind: FindingKind;
  /** Empty where there is none. */
  readonly name: string;
  readonly line: number;
}

/** What was mapped to what, and where. */
export interface Renaming {
  readonly from: string;
  readonly to: string;
  readonly lines: readonly number[];
}

export interface Report {
  readonly renamed: readonly Renaming[];
  /** Calls whose entry maps them to themselves. */
  readonly kept: number;
  readonly findings: readonly Finding[];
}

/** Collects a report; sorted when it is taken, so that the order of work does not show. */
export class ReportBuilder {
  readonly #renamed = new Map<string, { to: string; lines: number[] }>();
  readonly #findings: Finding[] = [];
  #kept = 0;

  rename(from: string, to: string, line: number): void {
    const entry = this.#renamed.get(from) ?? { to, lines: [] };
    entry.lines.push(line);
    this.#renamed.set(from, entry);
  }

  keep(): void {
    this.#kept++;
  }

  find(kind: FindingKind, name: string, line: number): void {
    this.#findings.push({ kind, name, line });
  }

  report(): Report {
    const renamed = Array.from(this.#renamed, ([from, { to, lines }]) => ({
      from,
      to,
      lines: lines.toSorted((a, b) => a - b),
    }));
    return {
      renamed: renamed.sort((a, b) => order(a.from, b.from)),
      kept: this.#kept,
      findings: this.#findings.sort(
        (a, b) => a.line - b.line || order(a.kind, b.kind) || order(a.name, b.name),
      ),
    };
  }
}

/** By code unit: the same on every machine, whatever its language. */
export function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Findings of a kind, by name, with their lines. */
export function grouped(findings: readonly Finding[]): Map<FindingKind, Map<string, number[]>> {
  const groups = new Map<FindingKind, Map<string, number[]>>();
  for (const { kind, name, line } of findings) {
    const names = groups.get(kind) ?? new Map<string, number[]>();
    groups.set(kind, names);
    names.set(name, [...(names.get(name) ?? []), line]);
  }
  return groups;
}

/** The report as `--json` shows it and the cache keeps it. */
export function reportJson(report: Report): JsonObject {
  return jsonObject([
    ['renamed', report.renamed.map(({ from, to, lines }) => ({ from, to, lines }))],
    ['kept', report.kept],
    ['findings', report.findings.map(({ kind, name, line }) => ({ kind, name, line }))],
  ]);
}

/** The inverse of `reportJson`. `E_SCHEMA`. */
export function parseReport(node: Node): Report {
  const kinds = Object.keys(FINDINGS) as FindingKind[];
  return {
    renamed: node
      .get('renamed')
      .items()
      .map((item) => ({
        from: item.get('from').string(),
        to: item.get('to').string(),
        lines: item
          .get('lines')
          .items()
          .map((line) => line.integer(1)),
      })),
    kept: node.get('kept').integer(0),
    findings: node
      .get('findings')
      .items()
      .map((item) => ({
        kind: item.get('kind').oneOf(...kinds),
        name: item.get('name').string(),
        line: item.get('line').integer(1),
      })),
  };
}

const NAMES_SHOWN = 12;
const LINES_SHOWN = 6;

/** The report for people: what was renamed, then each kind of finding with its first names. */
export function reportText(report: Report): string {
  const calls = report.renamed.reduce((sum, { lines }) => sum + lines.length, 0);
  const lines = [`renamed ${calls} calls of ${report.renamed.length} names`];
  for (const { from, to, lines: at } of report.renamed)
    lines.push(`  ${from} -> ${to}  ${showLines(at)}`);
  for (const [kind, names] of grouped(report.findings)) {
    const count = Array.from(names.values()).reduce((sum, at) => sum + at.length, 0);
    lines.push(`${kind}: ${count} (${FINDINGS[kind]})`);
    for (const [name, at] of Array.from(names).slice(0, NAMES_SHOWN))
      lines.push(`  ${name === '' ? '' : `${name}  `}${showLines(at)}`);
    if (names.size > NAMES_SHOWN) lines.push(`  and ${names.size - NAMES_SHOWN} names more`);
  }
  return lines.join('\n');
}

function showLines(lines: readonly number[]): string {
  const shown = lines.slice(0, LINES_SHOWN).join(', ');
  const more = lines.length > LINES_SHOWN ? ` and ${lines.length - LINES_SHOWN} more` : '';
  return `line${lines.length === 1 ? '' : 's'} ${shown}${more}`;
}
