/** Aligned columns and readable amounts, for results and for help. */

/**
 * `rows` as lines of aligned columns, two spaces apart, without trailing spaces. Cells are single
 * lines; control characters in them are the printer's affair.
 */
export function table(rows: readonly (readonly string[])[], indent = ''): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, width(cell));
    });
  }
  const lines = rows.map((row) => {
    const cells = row.map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - width(cell)));
    return `${indent}${cells.join('  ')}`.trimEnd();
  });
  return lines.join('\n');
}

/** Columns that a cell takes; code points, which is right for all but wide and joined letters. */
function width(cell: string): number {
  return Array.from(cell).length;
}

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `512 B`, `1.5 KiB`, `12.0 MiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let amount = bytes;
  let unit = '';
  for (const name of UNITS) {
    if (amount < 1024 && unit !== '') break;
    amount /= 1024;
    unit = name;
  }
  return `${amount.toFixed(1)} ${unit}`;
}
