/**
 * Counters, gauges and histograms, and their text for Prometheus (exposition format 0.0.4). Labels
 * are closed sets of our own words: nothing that a stranger sends becomes a series.
 */

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export type Labels = Readonly<Record<string, string>>;

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  samples(): Iterable<string>;
}

export class Counter {
  readonly #values = new Map<string, number>();
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  add(by = 1, labels: Labels = {}): void {
    const series = seriesOf(this.#name, labels);
    this.#values.set(series, (this.#values.get(series) ?? 0) + by);
  }

  *samples(): Iterable<string> {
    for (const [series, value] of this.#values) yield `${series} ${value}`;
  }
}

export class Histogram {
  readonly #name: string;
  /** Upper bounds, ascending, without the last one, which is infinite. */
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, { labels: Labels; counts: number[]; sum: number }>();

  constructor(name: string, bounds: readonly number[]) {
    this.#name = name;
    this.#bounds = bounds;
  }

  observe(value: number, labels: Labels = {}): void {
    const name = seriesOf(this.#name, labels);
    let series = this.#series.get(name);
    if (series === undefined) {
      series = { labels, counts: new Array(this.#bounds.length + 1).fill(0), sum: 0 };
      this.#series.set(name, series);
    }
    const at = this.#bounds.findIndex((bound) => value <= bound);
    const slot = at < 0 ? this.#bounds.length : at;
    series.counts[slot] = (series.counts[slot] ?? 0) + 1;
    series.sum += value;
  }

  *samples(): Iterable<string> {
    for (const { labels, counts, sum } of this.#series.values()) {
      let total = 0;
      for (const [slot, count] of counts.entries()) {
        total += count;
        const le = String(this.#bounds[slot] ?? '+Inf');
        yield `${seriesOf(`${this.#name}_bucket`, { ...labels, le })} ${total}`;
      }
      yield `${seriesOf(`${this.#name}_sum`, labels)} ${sum}`;
      yield `${seriesOf(`${this.#name}_count`, labels)} ${total}`;
    }
  }
}

/** One value of a gauge. */
export interface Reading {
  readonly labels?: Labels;
  readonly value: number;
}

export class Metrics {
  readonly #families: Family[] = [];
  /** Read when somebody asks, and not before. */
  readonly #gauges: {
    readonly name: string;
    readonly help: string;
    readonly type: 'counter' | 'gauge';
    read(): Iterable<Reading> | Promise<Iterable<Reading>>;
  }[] = [];

  counter(name: string, help: string): Counter {
    const counter = new Counter(name);
    this.#families.push({ name, help, type: 'counter', samples: () => counter.samples() });
    return counter;
  }

  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const histogram = new Histogram(name, bounds);
    this.#families.push({ name, help, type: 'histogram', samples: () => histogram.samples() });
    return histogram;
  }

  /** What cannot be read now (`read` throws) is left out, which is how Prometheus says unknown. */
  gauge(
    name: string,
    help: string,
    read: () => Iterable<Reading> | Promise<Iterable<Reading>>,
    type: 'counter' | 'gauge' = 'gauge',
  ): void {
    this.#gauges.push({ name, help, type, read });
  }

  /** All of it, as `METRICS_TYPE`. */
  async text(): Promise<string> {
    const lines: string[] = [];
    for (const { name, help, type, samples } of this.#families)
      lines.push(...header(name, help, type), ...samples());
    for (const { name, help, type, read } of this.#gauges) {
      const readings = await Promise.resolve()
        .then(read)
        .catch(() => undefined);
      if (readings === undefined) continue;
      lines.push(...header(name, help, type));
      for (const { labels = {}, value } of readings)
        lines.push(`${seriesOf(name, labels)} ${value}`);
    }
    return `${lines.join('\n')}\n`;
  }
}

function header(name: string, help: string, type: Family['type']): string[] {
  const text = help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n');
  return [`# HELP ${name} ${text}`, `# TYPE ${name} ${type}`];
}

/** `name{a="b"}`; a value's backslashes, quotes and line ends are escaped, as the format wants. */
function seriesOf(name: string, labels: Labels): string {
  const pairs = Object.entries(labels).map(([label, value]) => {
    const text = value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
    return `${label}="${text}"`;
  });
  return pairs.length === 0 ? name : `${name}{${pairs.join(',')}}`;
}
