/**
 * Our client beside tuf-js and beside Node's own start, on the same repositories, in turn.
 *
 *   npm run bench:client -- [--rounds 5] [--json] [--only TEXT] [--slow]
 *
 * `--only` picks the rows whose name holds TEXT. tuf-js takes minutes for 10,000 targets in one
 * file and does not finish 100,000: it is left out of these unless `--slow` is given (10,000).
 */

import process from 'node:process';
import { systemClock } from '../../shared/node/clock.ts';
import { type Bar, barTable, mebibytes, ratio, seconds, table } from '../support/bar.ts';
import { inTurn, type Result } from '../support/in-turn.ts';
import { benchOptions } from '../support/options.ts';
import { serveFolder } from '../support/serve.ts';
import { contenders, type Work } from './contenders.ts';
import { repository, type Shape } from './repository.ts';
import { measureSnapshot, SNAPSHOT_ROW } from './snapshot.ts';

interface Row {
  readonly name: string;
  readonly work: Work;
  readonly shape: Shape;
  readonly count: number;
  readonly tufJs: 'always' | 'slow' | 'never';
  /** CPU time of ours, in multiples of somebody's, and resident memory. */
  readonly bar: {
    readonly of: 'tuf-js' | 'node -e 0';
    readonly atMost: number;
    readonly mib?: number;
  };
}

const COLD = 'cold refresh + one target';
const ROWS: readonly Row[] = [
  {
    name: `${COLD}, 1,000 in one file`,
    work: 'cold',
    shape: 'one-file',
    count: 1_000,
    tufJs: 'always',
    bar: { of: 'tuf-js', atMost: 0.2, mib: 80 },
  },
  {
    name: `${COLD}, 10,000 in one file`,
    work: 'cold',
    shape: 'one-file',
    count: 10_000,
    tufJs: 'slow',
    bar: { of: 'node -e 0', atMost: 6, mib: 100 },
  },
  {
    name: `${COLD}, 100,000 in one file`,
    work: 'cold',
    shape: 'one-file',
    count: 100_000,
    tufJs: 'never',
    bar: { of: 'node -e 0', atMost: 25, mib: 180 },
  },
  {
    name: `${COLD}, 100,000 in 256 bins`,
    work: 'cold',
    shape: 'prefix-bins',
    count: 100_000,
    tufJs: 'always',
    bar: { of: 'tuf-js', atMost: 0.37 },
  },
  {
    name: `${COLD}, 100,000 in succinct bins`,
    work: 'cold',
    shape: 'succinct-bins',
    count: 100_000,
    tufJs: 'always',
    bar: { of: 'tuf-js', atMost: 0.45 },
  },
  {
    name: 'warm refresh, 100,000 in one file',
    work: 'warm',
    shape: 'one-file',
    count: 100_000,
    tufJs: 'never',
    bar: { of: 'node -e 0', atMost: 5 },
  },
];

interface Measured {
  readonly row: Pick<Row, 'name'>;
  readonly results: readonly Result[];
  readonly bars: readonly Bar[];
}

const options = benchOptions(['slow'], ['only'], 5);
const say = (text: string): void => console.error(text);
const measured: Measured[] = [];
for (const row of ROWS.filter(({ name }) => name.includes(options.text('only') ?? ''))) {
  measured.push(await measure(row));
}
if (SNAPSHOT_ROW.includes(options.text('only') ?? '')) {
  say(`${SNAPSHOT_ROW} …`);
  const snapshot = await measureSnapshot(systemClock(), options.rounds, say);
  measured.push({ row: { name: SNAPSHOT_ROW }, ...snapshot });
}
if (options.json) console.log(JSON.stringify({ schema: 'ironport.bench-client/v1', measured }));
else print();
process.exitCode = measured.some(({ results }) => !results.some(({ name }) => name === 'ours'))
  ? 1
  : 0;

async function measure(row: Row): Promise<Measured> {
  say(`${row.name} …`);
  const made = await repository(row.shape, row.count, systemClock());
  const server = await serveFolder(made.folder);
  const also = {
    tufJs: row.tufJs === 'always' || (row.tufJs === 'slow' && options.flag('slow')),
    // It has the limits of the other clients, which 100,000 targets in one file exceed.
    underTest: row.shape !== 'one-file' || row.count <= 10_000,
  };
  try {
    const { contenders: who, cleanUp } = await contenders(row.work, made, server.url, also);
    try {
      const results = await inTurn(who, options.rounds, say);
      return { row, results, bars: barsOf(row, results) };
    } finally {
      await cleanUp();
    }
  } finally {
    await server.stop();
  }
}

function barsOf({ name, bar }: Row, results: readonly Result[]): Bar[] {
  const of = (who: string): Result | undefined => results.find((result) => result.name === who);
  const cpu = ratio(of('ours')?.cpuSeconds, of(bar.of)?.cpuSeconds);
  const bars: Bar[] = [
    { what: `${name}: CPU, in ${bar.of}`, measured: cpu, atMost: bar.atMost, unit: '×' },
  ];
  if (bar.mib !== undefined)
    bars.push({
      what: `${name}: memory`,
      measured: of('ours')?.peakMiB,
      atMost: bar.mib,
      unit: 'MiB',
    });
  return bars;
}

function print(): void {
  const rows = measured.flatMap(({ row, results }) =>
    results.map((result, i) => [
      i === 0 ? row.name : '',
      result.name,
      seconds(result.wallSeconds),
      seconds(result.cpuSeconds),
      mebibytes(result.peakMiB),
    ]),
  );
  console.log(table(['work', 'by', 'wall s', 'CPU s', 'MiB'], rows));
  console.log(`\n${barTable(measured.flatMap(({ bars }) => bars))}`);
}
