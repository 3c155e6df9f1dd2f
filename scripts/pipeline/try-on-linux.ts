/**
 * Runs the pipeline over real Linux drivers and says what it made of them.
 *
 *   node scripts/pipeline/try-on-linux.ts FOLDER [COUNT]
 *
 * FOLDER holds drivers, for example the `drivers/` of Debian's linux-source package. COUNT files
 * (120) are taken from all of it in even steps, and the ten largest. Each is suggested for, applied
 * to and extracted from again. Exits 1 if one of them crashes or comes out with anything changed but
 * the names of calls. The slowest step is printed and not judged: it says as much of the machine.
 */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type CGrammar, loadCGrammar } from '../../publisher/pipeline/c/grammar.ts';
import { readC } from '../../publisher/pipeline/c/read.ts';
import { renameC } from '../../publisher/pipeline/c/rename.ts';
import { deriveMapping } from '../../publisher/pipeline/extract/derive.ts';
import type { FindingKind } from '../../publisher/pipeline/report.ts';
import { draftCeiling } from '../../publisher/pipeline/resources/ceiling-draft.ts';
import { readMacros } from '../../publisher/pipeline/resources/constants.ts';
import { findResources } from '../../publisher/pipeline/resources/find.ts';
import { bytesToText } from '../../publisher/pipeline/source.ts';
import { propose } from '../../publisher/pipeline/suggest/propose.ts';
import { tokenDifferences } from '../../test/pipeline/support.ts';

export interface Tried {
  readonly file: string;
  readonly bytes: number;
  /** Of a processor: of the slowest step, and of all. */
  readonly slowest: number;
  readonly seconds: number;
  /** Calls by name of what the file does not define, and all others. */
  readonly outside: number;
  readonly own: number;
  readonly indirect: number;
  readonly renamed: number;
  /** Names whose mapping `extract` found again in the result, of all that were mapped. */
  readonly found: number;
  readonly mapped: number;
  readonly unreadableBytes: number;
  readonly isPci: boolean;
  readonly bars: number;
  readonly devices: number;
  readonly findings: ReadonlyMap<FindingKind, number>;
  /** Why it failed; undefined when it did not. */
  readonly failure: string | undefined;
}

/** COUNT files in even steps, and the ten largest. */
export function chooseFiles(folder: string, count: number): string[] {
  const all = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.c'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const step = Math.max(1, Math.floor(all.length / count));
  const largest = all
    .map((path) => ({ path, size: statSync(path).size }))
    .sort((a, b) => b.size - a.size)
    .slice(0, 10);
  const even = all.filter((_, i) => i % step === 0).slice(0, count);
  return Array.from(new Set([...even, ...largest.map(({ path }) => path)]));
}

/** The processor's time that steps take. */
class Stopwatch {
  slowest = 0;
  total = 0;

  run<T>(step: () => T): T {
    const began = process.cpuUsage();
    try {
      return step();
    } finally {
      const { user, system } = process.cpuUsage(began);
      this.total += (user + system) / 1e6;
      this.slowest = Math.max(this.slowest, (user + system) / 1e6);
    }
  }
}

export function tryFile(grammar: CGrammar, path: string): Tried {
  const bytes = new Uint8Array(readFileSync(path));
  const watch = new Stopwatch();
  const tried = { ...NOTHING, file: path, bytes: bytes.length };
  try {
    Object.assign(tried, look(grammar, bytesToText(bytes), watch));
  } catch (error) {
    tried.failure = error instanceof Error ? error.message : String(error);
  }
  return { ...tried, slowest: watch.slowest, seconds: watch.total };
}

const NOTHING: { -readonly [K in keyof Tried]: Tried[K] } = {
  file: '',
  bytes: 0,
  slowest: 0,
  seconds: 0,
  outside: 0,
  own: 0,
  indirect: 0,
  renamed: 0,
  found: 0,
  mapped: 0,
  unreadableBytes: 0,
  isPci: false,
  bars: 0,
  devices: 0,
  findings: new Map(),
  failure: undefined,
};

function look(grammar: CGrammar, text: string, watch: Stopwatch): Partial<Tried> {
  const unit = watch.run(() => readC(grammar, text));
  const origins = unit.calls.map(({ name, scope }) => unit.scopes.origin(name, scope));
  const proposals = watch.run(() => propose(grammar, text, new Map()));
  // Every name gets another one, so that what was renamed can be seen.
  const mapping = new Map(
    proposals.map(({ from, to }) => [from, from === to ? `shim_${from}` : to]),
  );
  const { text: ported, report } = watch.run(() => renameC(grammar, text, mapping));
  const derived = watch.run(() => deriveMapping(grammar, text, ported));
  const resources = watch.run(() => findResources(text, unit, readMacros(text)));
  draftCeiling(resources);

  const renamed = report.renamed.reduce((sum, { lines }) => sum + lines.length, 0);
  const differences = tokenDifferences(text, ported);
  const isOnlyCalls =
    differences?.length === renamed &&
    differences.every(({ before, after }) => mapping.get(before) === after);
  const used = new Set(report.renamed.map(({ from }) => from));
  const findings = new Map<FindingKind, number>();
  for (const { kind } of report.findings) findings.set(kind, (findings.get(kind) ?? 0) + 1);
  return {
    outside: origins.filter((origin) => origin === 'outside').length,
    own: origins.filter((origin) => origin === 'defined').length,
    indirect: unit.indirect.length + origins.filter((origin) => origin === 'variable').length,
    renamed,
    mapped: used.size,
    found: derived.entries.filter(({ from, to }) => used.has(from) && mapping.get(from) === to)
      .length,
    unreadableBytes: unit.unreadable.reduce((sum, { start, end }) => sum + end - start, 0),
    isPci: unit.deviceTables.length > 0,
    bars: resources.bars.length,
    devices: resources.devices.length,
    findings,
    failure: isOnlyCalls ? undefined : 'something else than the names of calls changed',
  };
}

export function summary(tried: readonly Tried[], folder: string): string {
  const sum = (pick: (one: Tried) => number): number =>
    tried.reduce((all, one) => all + pick(one), 0);
  const share = (part: number, whole: number): string =>
    whole === 0 ? 'none' : `${((100 * part) / whole).toFixed(2)} %`;
  const slowest = tried.toSorted((a, b) => b.slowest - a.slowest)[0];
  const kinds = new Map<FindingKind, number>();
  for (const { findings } of tried)
    for (const [kind, count] of findings) kinds.set(kind, (kinds.get(kind) ?? 0) + count);
  const pci = tried.filter(({ isPci }) => isPci);
  return [
    `files      ${tried.length}, ${sum(({ bytes }) => bytes)} bytes`,
    `time       ${sum(({ seconds }) => seconds).toFixed(1)} s of a processor; slowest step ${slowest?.slowest.toFixed(2)} s, ${slowest === undefined ? '' : relative(folder, slowest.file)}`,
    `calls      ${sum(({ outside }) => outside)} of functions and macros outside, ${sum(({ own }) => own)} of the file's own, ${sum(({ indirect }) => indirect)} through pointers`,
    `renamed    ${sum(({ renamed }) => renamed)}, ${share(
      sum(({ renamed }) => renamed),
      sum(({ outside }) => outside),
    )} of the calls outside`,
    `extracted  ${sum(({ found }) => found)} of ${sum(({ mapped }) => mapped)} names found again from original and result, ${share(
      sum(({ found }) => found),
      sum(({ mapped }) => mapped),
    )}`,
    `unreadable ${share(
      sum(({ unreadableBytes }) => unreadableBytes),
      sum(({ bytes }) => bytes),
    )} of the bytes`,
    `PCI        ${pci.length} files with a table of ids: ${pci.filter(({ devices }) => devices > 0).length} with ids that are constants, ${pci.filter(({ bars }) => bars > 0).length} with BARs that are`,
    'not understood, or left alone on purpose:',
    ...Array.from(kinds)
      .sort((a, b) => b[1] - a[1])
      .map(([kind, count]) => `  ${String(count).padStart(6)}  ${kind}`),
    ...tried
      .filter(({ failure }) => failure !== undefined)
      .map(({ file, failure }) => `FAILED ${relative(folder, file)}: ${failure}`),
  ].join('\n');
}

if (import.meta.main) {
  const [folder, count = '120'] = process.argv.slice(2);
  if (folder === undefined) {
    console.error('usage: node scripts/pipeline/try-on-linux.ts FOLDER [COUNT]');
    process.exit(2);
  }
  const grammar = await loadCGrammar();
  const tried = chooseFiles(folder, Number(count)).map((file) => tryFile(grammar, file));
  console.log(summary(tried, folder));
  process.exitCode =
    tried.length > 0 && tried.every(({ failure }) => failure === undefined) ? 0 : 1;
}
