/**
 * What it costs to verify evidence: of one artifact with a large bill of materials, as the first
 * thing that a process does after its start, and of a thousand artifacts in one process.
 *
 *   npm run bench:evidence -- [--rounds 5] [--json]
 */

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Bar, barTable, mebibytes, seconds, table } from '../support/bar.ts';
import { median } from '../support/in-turn.ts';
import { runToEnd } from '../support/measured.ts';
import { benchOptions } from '../support/options.ts';
import { writeEvidence } from './evidence.ts';

const ROWS = [
  { name: 'one artifact, a bill of 5,000 packages', artifacts: 1, packages: 5000, atMost: 0.06 },
  // 500 in a second.
  { name: '1,000 artifacts, a bill of 10 packages each', artifacts: 1000, packages: 10, atMost: 2 },
] as const;
/** What one run of verify.ts says. */
interface Said {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly artifacts: number;
  readonly packages: number;
}

interface Measured {
  readonly name: string;
  readonly artifacts: number;
  readonly bytes: number;
  readonly runs: readonly Said[];
  readonly peakMiB: number | undefined;
  readonly bar: Bar;
}

const VERIFY = fileURLToPath(new URL('./verify.cjs', import.meta.url));

const options = benchOptions([], [], 5);
const folder = mkdtempSync(join(tmpdir(), 'ironport-bench-evidence-'));
const measured: Measured[] = [];
try {
  for (const row of ROWS) measured.push(await measure(row));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (options.json) console.log(JSON.stringify({ schema: 'ironport.bench-evidence/v1', measured }));
else print();

async function measure(row: (typeof ROWS)[number]): Promise<Measured> {
  console.error(`${row.name} …`);
  const file = join(folder, `evidence-${row.artifacts}`);
  await writeEvidence(file, row.artifacts, row.packages);
  const runs: Said[] = [];
  const peaks: (number | undefined)[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const { stdout, peakMiB } = await runToEnd({ args: [VERIFY, file] });
    const said = JSON.parse(stdout) as Said;
    // A run that verified less than all would be a fast one.
    if (said.artifacts !== row.artifacts || said.packages !== row.artifacts * row.packages)
      throw new Error(`${row.name}: verified ${stdout}`);
    runs.push(said);
    peaks.push(peakMiB);
  }
  const { name, artifacts, atMost } = row;
  const taken = median(runs.map((run) => run.seconds));
  const bar: Bar = { what: name, measured: taken, atMost, unit: 's' };
  return { name, artifacts, bytes: statSync(file).size, runs, peakMiB: median(peaks), bar };
}

function print(): void {
  const rows = measured.map(({ name, artifacts, bytes, runs, peakMiB }) => {
    const wall = runs.map((run) => run.seconds);
    const time = median(wall) as number;
    return [
      name,
      mebibytes(bytes / 1024 / 1024),
      seconds(time),
      seconds(Math.min(...wall)),
      // With the threads of V8: on a machine that does nothing else it is more than the wall's.
      seconds(median(runs.map((run) => run.cpuSeconds))),
      (artifacts / time).toFixed(0),
      mebibytes(peakMiB),
    ];
  });
  const head = ['evidence', 'MiB in', 'wall s', 'best s', 'CPU s', 'a second', 'peak MiB'];
  console.log(table(head, rows));
  console.log(`\n${barTable(measured.map(({ bar }) => bar))}`);
}
