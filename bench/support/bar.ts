/** What was measured beside what was promised. */

export interface Bar {
  /** `cold refresh + one target, 1,000 targets in one file: CPU, × tuf-js`. */
  readonly what: string;
  /** Undefined when one of the two sides was not measured. */
  readonly measured: number | undefined;
  /** One of the two. */
  readonly atMost?: number;
  readonly atLeast?: number;
  readonly unit: '×' | 'MiB' | 's' | '/s';
}

export function holds({ measured, atMost, atLeast }: Bar): boolean | undefined {
  if (measured === undefined) return undefined;
  return (
    measured <= (atMost ?? Number.POSITIVE_INFINITY) &&
    measured >= (atLeast ?? Number.NEGATIVE_INFINITY)
  );
}

export function ratio(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined || b === 0 ? undefined : a / b;
}

/** Lines of a table: the left column to the left, numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, i) =>
    Math.max(cell.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) =>
        i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number),
      )
      .join('  ')
      .trimEnd();
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

export function barTable(bars: readonly Bar[]): string {
  return table(
    ['bar', 'measured', 'promised', ''],
    bars.map((bar) => [
      bar.what,
      number(bar.measured, bar.unit),
      `${bar.atMost === undefined ? '≥' : '≤'} ${number(bar.atMost ?? bar.atLeast, bar.unit)}`,
      { true: 'holds', false: 'MISSED', undefined: 'not measured' }[String(holds(bar))] ?? '',
    ]),
  );
}

export function seconds(value: number | undefined): string {
  return value === undefined ? '–' : value.toFixed(3);
}

export function mebibytes(value: number | undefined): string {
  return value === undefined ? '–' : value.toFixed(0);
}

function number(value: number | undefined, unit: Bar['unit']): string {
  if (value === undefined) return '–';
  if (unit === '/s') return `${value.toFixed(0)} ${unit}`;
  return unit === 'MiB' ? `${value.toFixed(0)} MiB` : `${value.toFixed(2)} ${unit}`;
}
