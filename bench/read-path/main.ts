/**
 * Reads over loopback, by wrk: our service, beside a bare node:http server that has the same files
 * in memory and beside nginx over the same tree, in the same run, in turn.
 *
 *   npm run bench:read-path -- [--rounds 5] [--seconds 4] [--connections 32] [--json]
 *
 * Ratios are of each round, and the medians of them count: what else the machine does befalls all.
 * It needs wrk and nginx, and installs them where it runs as root on Debian.
 */

import { equal } from 'node:assert';
import { readFile, rm } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { data, tree } from '../../shared/layout.ts';
import { type Bar, barTable, ratio, table } from '../support/bar.ts';
import { median } from '../support/in-turn.ts';
import { benchOptions } from '../support/options.ts';
import { bare, nginx, type Running, service, staticServer, watched } from './servers.ts';
import { needTools } from './tools.ts';
import { makeTree } from './tree.ts';
import { type Load, measure, type Sample } from './wrk.ts';

const options = benchOptions([], ['seconds', 'connections'], 5);
const say = (text: string): void => console.error(text);
const load: Load = {
  seconds: Number(options.text('seconds') ?? 4),
  connections: Number(options.text('connections') ?? 32),
};
const KIB = 1024;
const BARE = 'bare node:http';
const SIZES = [KIB, 54 * KIB];

/** Of one file: the samples of each server, one a round. */
type Samples = ReadonlyMap<string, Sample[]>;

try {
  needTools(say);
  await main();
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

async function main(): Promise<void> {
  say('a repository …');
  const ground = await makeTree(SIZES);
  const servers: Running[] = [];
  const cleanUp = async (): Promise<void> => {
    for (const server of servers) await server.stop();
    await rm(ground.folder, { recursive: true, force: true });
  };
  process.once('SIGINT', () => void cleanUp().finally(() => process.exit(130)));
  try {
    const paths = [...ground.files.map(({ path }) => path), tree.timestamp];
    // One process may write a repository; the second service has a copy of it.
    for (const contender of [service, bare, nginx, staticServer])
      servers.push(
        await contender({ scratch: ground.folder, repository: ground.repository, paths }),
      );
    servers.push(await watched({ scratch: ground.folder, repository: ground.copy, paths }));
    for (const path of paths) await demandSame(servers, ground.repository, path);
    const results = new Map<string, Samples>();
    const labels = ground.files.map(({ bytes }) => `${(bytes / KIB).toFixed(1)} KiB`);
    for (const [i, path] of paths.entries())
      results.set(labels[i] ?? 'timestamp', await rounds(servers, path));
    print(results, labels);
  } finally {
    await cleanUp();
  }
}

/** Each server gives out what lies in the tree. */
async function demandSame(
  servers: readonly Running[],
  repository: string,
  path: string,
): Promise<void> {
  const bytes = await readFile(join(repository, data.tree, path));
  for (const { name, url } of servers) {
    const answer = await fetch(`${url}/${path}`);
    equal(answer.status, 200, `${name}: ${path}`);
    const got = Buffer.from(await answer.arrayBuffer());
    equal(got.compare(bytes), 0, `${name} gives out something else as ${path}`);
  }
}

async function rounds(servers: readonly Running[], path: string): Promise<Samples> {
  say(`${path}: ${options.rounds} rounds of ${servers.length} × ${load.seconds} s …`);
  const samples = new Map<string, Sample[]>(servers.map(({ name }) => [name, []]));
  // The first requests of a program that has just started are not what is asked about.
  for (const { url, pid } of servers) await measure(`${url}/${path}`, pid, { ...load, seconds: 1 });
  for (let round = 0; round < options.rounds; round++)
    for (const { name, url, pid } of servers)
      samples.get(name)?.push(await measure(`${url}/${path}`, pid, load));
  return samples;
}

function print(results: ReadonlyMap<string, Samples>, barred: readonly string[]): void {
  const rows = [...results].flatMap(([file, samples]) => rowsOf(file, samples));
  const bars = barred.flatMap((file) => barsOf(file, results.get(file) as Samples));
  const [busy = 0] = loadavg();
  if (options.json) {
    console.log(
      JSON.stringify({ schema: 'ironport.bench-read-path/v1', load: busy, ...load, rows, bars }),
    );
    return;
  }
  const head = [
    'read by wrk',
    'requests/s',
    'p50 ms',
    'p99 ms',
    'CPU µs each',
    '× bare',
    '× nginx',
    'CPU × bare',
  ];
  console.log(table(head, rows));
  console.log(
    `\n${load.connections} connections, ${options.rounds} rounds of ${load.seconds} s; the machine: ${cpus().length} processors, load ${busy.toFixed(1)}`,
  );
  console.log(`\n${barTable(bars)}`);
}

function rowsOf(file: string, samples: Samples): string[][] {
  return [...samples].map(([name, own]) => {
    const of = (pick: (sample: Sample) => number | undefined, digits: number): string =>
      median(own.map(pick))?.toFixed(digits) ?? '–';
    const times = (other: string): string =>
      ratioOf(samples, name, other, ({ perSecond }) => perSecond)?.toFixed(2) ?? '–';
    return [
      `${file}: ${name}`,
      of(({ perSecond }) => perSecond, 0),
      of(({ p50Ms }) => p50Ms, 2),
      of(({ p99Ms }) => p99Ms, 2),
      of(({ cpuMicroseconds }) => cpuMicroseconds, 1),
      times(BARE),
      times('nginx'),
      ratioOf(samples, name, BARE, ({ cpuMicroseconds }) => cpuMicroseconds)?.toFixed(2) ?? '–',
    ];
  });
}

/** The median of the ratios of each round. */
function ratioOf(
  samples: Samples,
  name: string,
  other: string,
  pick: (sample: Sample) => number | undefined,
): number | undefined {
  const others = samples.get(other) ?? [];
  return median(
    (samples.get(name) ?? []).map((sample, round) => {
      const beside = others[round];
      return ratio(pick(sample), beside && pick(beside));
    }),
  );
}

function barsOf(file: string, samples: Samples): Bar[] {
  const ours = (other: string, pick: (sample: Sample) => number): number | undefined =>
    ratioOf(samples, 'ironport-repo', other, pick);
  const rate = ({ perSecond }: Sample): number => perSecond;
  const slowest = ({ p99Ms }: Sample): number => p99Ms;
  const [bareRate, nginxRate] = [ours(BARE, rate), ours('nginx', rate)];
  return [
    { what: `${file}: requests/s, × bare node:http`, measured: bareRate, atLeast: 0.9, unit: '×' },
    { what: `${file}: requests/s, × nginx`, measured: nginxRate, atLeast: 0.35, unit: '×' },
    { what: `${file}: p99, × nginx's`, measured: ours('nginx', slowest), atMost: 3, unit: '×' },
  ];
}
