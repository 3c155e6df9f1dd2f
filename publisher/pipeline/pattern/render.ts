/** Writes pattern files: the same pattern always gives the same bytes. */

import { order } from '../report.ts';
import { isCName } from './names.ts';
import type { ManifestNotes, Metadata } from './pattern.ts';

export interface Entry {
  readonly from: string;
  readonly to: string;
  /** Stands behind the entry, for whoever reviews it. */
  readonly comment?: string;
}

export interface NewPattern {
  /** Lines at the top, without `#`. */
  readonly head: readonly string[];
  readonly metadata: Metadata;
  readonly entries: readonly Entry[];
  readonly manifest: ManifestNotes;
}

/** The text of a new pattern file, with every section that a person may want to fill in. */
export function renderPattern({ head, metadata, entries, manifest }: NewPattern): string {
  const mapping = entries.toSorted((a, b) => order(a.from, b.from)).map(entryLine);
  const irqs = manifest.irqs.map((irq) => (typeof irq === 'string' ? tomlString(irq) : irq));
  return [
    ...head.map((line) => `# ${line}`),
    '',
    '[metadata]',
    `version = ${tomlString(metadata.version)}`,
    `linux_version = ${tomlString(metadata.linuxVersion)}`,
    `driver_family = ${tomlString(metadata.driverFamily)}`,
    `confidence = ${tomlFloat(metadata.confidence)}`,
    `review_required = ${metadata.reviewRequired}`,
    '',
    '[mapping]',
    ...mapping,
    '',
    '[build]',
    'thin_lto = true',
    'incremental = true',
    'lto_cache = true',
    '',
    '[binary_patch]',
    '',
    '[manifest]',
    `bars = [${manifest.bars.join(', ')}]`,
    `irqs = [${irqs.join(', ')}]`,
    '',
  ].join('\n');
}

/** `kfree = "shim_kfree"  # line 3`. */
export function entryLine({ from, to, comment }: Entry): string {
  const note = comment === undefined ? '' : `  # ${oneLine(comment)}`;
  return `${tomlKey(from)} = ${tomlString(to)}${note}`;
}

export function tomlKey(name: string): string {
  return isCName(name) && !name.includes('$') ? name : tomlString(name);
}

/** A basic string (TOML 1.0, "String"). */
export function tomlString(text: string): string {
  const escaped = text.replaceAll(/[\\"]|\p{Cc}/gu, (char) =>
    char === '\\' || char === '"'
      ? `\\${char}`
      : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `"${escaped}"`;
}

/** A float always has a point (TOML 1.0, "Float"). */
export function tomlFloat(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : `${value}`;
}

function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ');
}
