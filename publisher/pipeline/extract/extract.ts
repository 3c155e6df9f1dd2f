/** `extract`: from an original Linux driver and its port to a pattern file. */

import type { CGrammar } from '../c/grammar.ts';
import { type Metadata, UNDECIDED } from '../pattern/pattern.ts';
import { renderPattern } from '../pattern/render.ts';
import { type CeilingDraft, draftCeiling } from '../resources/ceiling-draft.ts';
import { type Macros, readMacros } from '../resources/constants.ts';
import { findResources, type Resources } from '../resources/find.ts';
import { deriveMapping } from './derive.ts';

export interface ExtractInput {
  readonly original: string;
  readonly ported: string;
  /** Lines for the top of the file: where it comes from. */
  readonly head: readonly string[];
  readonly version: string;
  readonly linuxVersion: string;
  readonly driverFamily: string;
  /** Of headers that were given beside the source. */
  readonly macros: Macros;
}

export interface Extracted {
  /** The pattern file. */
  readonly text: string;
  readonly confidence: number;
  /** Names that the pattern decides, and those that it leaves open. */
  readonly decided: number;
  readonly undecided: readonly string[];
  /** Functions with too many calls to be compared. */
  readonly skipped: readonly string[];
  readonly draft: CeilingDraft;
}

/**
 * The most that a derived pattern is sure of itself: just below what `apply` asks for, because
 * nobody has read it yet.
 */
const MOST_CONFIDENCE = 0.74;

export function extractPattern(grammar: CGrammar, input: ExtractInput): Extracted {
  const { original, ported, head, version, linuxVersion, driverFamily } = input;
  const { entries, agreement, skipped, original: unit } = deriveMapping(grammar, original, ported);
  const confidence = Math.min(Math.floor(agreement * 100) / 100, MOST_CONFIDENCE);
  const metadata: Metadata = {
    version,
    linuxVersion,
    driverFamily,
    confidence,
    reviewRequired: true,
  };
  const macros = new Map([...input.macros, ...readMacros(original)]);
  const resources = findResources(original, unit, macros);
  const undecided = entries.filter(({ to }) => to === UNDECIDED).map(({ from }) => from);
  return {
    text: renderPattern({ head, metadata, entries, manifest: notesOf(resources) }),
    confidence,
    decided: entries.length - undecided.length,
    undecided: undecided.sort(),
    skipped,
    draft: draftCeiling(resources),
  };
}

function notesOf({ bars, interrupts }: Resources): { bars: number[]; irqs: string[] } {
  return {
    bars: bars.map(({ index }) => index),
    irqs: interrupts === undefined ? [] : [interrupts.kind],
  };
}
