/** Reads docs/reference/json-output.md: which fields it promises, and of which types. */

import type { Shape } from './json-shapes.ts';

interface Row {
  readonly field: string;
  readonly types: ReadonlySet<string>;
  /** The part that it has the form of: `[check](#check)`. */
  readonly part: string | undefined;
  readonly optional: boolean;
}

export interface Section {
  /** `ironport init`. */
  readonly heading: string;
  /** `ironport`: the heading above. */
  readonly chapter: string;
  readonly schema: string | undefined;
  readonly rows: readonly Row[];
}

export function readSections(page: string): Section[] {
  const sections: Section[] = [];
  let chapter = '';
  for (const block of page.split(/^(?=##+ )/m)) {
    const [, marks, heading] = /^(##+) (.*)$/m.exec(block) ?? [];
    if (heading === undefined) continue;
    if (marks === '##') chapter = heading;
    else sections.push({ heading, chapter, schema: schemaOf(block), rows: rowsOf(block) });
  }
  return sections;
}

function schemaOf(block: string): string | undefined {
  return /^Schema `([^`]+)`/m.exec(block)?.[1];
}

function rowsOf(block: string): Row[] {
  return Array.from(
    block.matchAll(/^\| (`[^`]+`|…) \| ([^|]+) \| \S.* \|$/gm),
    ([, name, type]) => {
      const [form = '', extra] = (type as string).split(', ');
      const words = form.split(' or ');
      return {
        field: name === '…' ? '' : (name as string).slice(1, -1),
        types: new Set(words.filter((word) => !word.startsWith('['))),
        part: /\[([^\]]+)\]\(#/.exec(form)?.[1],
        optional: extra === 'optional',
      };
    },
  );
}

/** The rows of a section with its parts written out: by field. */
function written(rows: readonly Row[], parts: ReadonlyMap<string, Section>): Map<string, Row> {
  const all = new Map<string, Row>();
  for (const row of rows) {
    if (row.field !== '') all.set(row.field, row);
    if (row.part === undefined) continue;
    const part = parts.get(row.part);
    if (part === undefined) throw new Error(`the page has no part ${row.part}`);
    for (const [name, inner] of written(part.rows, parts)) {
      const field = row.field === '' ? name : `${row.field}.${name}`;
      all.set(field, { ...inner, field, optional: row.optional || inner.optional });
    }
  }
  return all;
}

/** In what way a shape and a section differ; empty when they do not. */
export function differences(shape: Shape, section: Section, all: readonly Section[]): string[] {
  const parts = new Map(all.map((one) => [one.heading, one]));
  const rows = written(section.rows, parts);
  const seen = Object.keys(shape);
  const found: string[] = [];
  for (const [field, types] of Object.entries(shape)) {
    const row = rows.get(field);
    if (types === 'nothing' && isContainer(field, rows)) continue;
    if (row === undefined) found.push(`${field}: not on the page`);
    else if (!types.split('|').every((type) => type === 'nothing' || row.types.has(type)))
      found.push(`${field}: ${types}, and the page says ${Array.from(row.types).join(' or ')}`);
  }
  for (const { field, optional } of rows.values()) {
    const isThere = seen.some((name) => name === field || isBelow(name, field));
    // Below a null, or an empty list, there is nothing to be seen.
    const isHidden = seen.some((name) => isBelow(field, name));
    if (!isThere && !isHidden && !optional) found.push(`${field}: on the page, and not seen`);
  }
  return found;
}

function isContainer(field: string, rows: ReadonlyMap<string, Row>): boolean {
  return Array.from(rows.keys()).some((name) => name === field || isBelow(name, field));
}

function isBelow(name: string, above: string): boolean {
  return name.startsWith(`${above}.`) || name.startsWith(`${above}[`);
}
