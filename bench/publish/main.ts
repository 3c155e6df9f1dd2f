/**
 * Publication, by real processes over real sockets onto a real disk: how long one artifact takes
 * into vendors of different sizes, how many there are in a second, and what renewing a large vendor
 * takes. The disk's own rate stands beside it.
 *
 *   npm run bench:publish -- [--quick] [--rounds 100] [--only single,uploaded,files,beside] [--json]
 *
 * A vendor of a million targets needs about six gigabytes in the temporary folder (TMPDIR) and some
 * minutes; `--quick` leaves it out.
 */

import { rm } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import process from 'node:process';
import { fittingBits } from '../../publisher/fitting-bins.ts';
import type { Scene } from '../../scripts/demo/scene.ts';
import { BIN_LIMITS } from '../../shared/limits.ts';
import { startService } from '../large-artifact/steps.ts';
import { type Bar, barTable, mebibytes, ratio, seconds, table } from '../support/bar.ts';
import { median } from '../support/in-turn.ts';
import { benchOptions } from '../support/options.ts';
import { measureDisk } from './disk.ts';
import { grow } from './grow.ts';
import { BESIDE, demandSound, makePlaces, placeOf } from './places.ts';
import { renew } from './programs.ts';
import { quantile } from './quantile.ts';
import { publishSingly, type Sized } from './single.ts';
import { publishBeside, publishFiles, publishUploaded, type Rate } from './sustained.ts';
import { BenchVendor } from './vendor.ts';

const options = benchOptions(['quick'], ['only'], 100);
const say = (text: string): void => console.error(text);
const only = options.text('only')?.split(',');
const wanted = (part: string): boolean => only?.includes(part) ?? true;
/** Divided as `ironport split --targets` divides them. */
const SIZES = [1_000, 100_000, 1_000_000]
  .map((targets) => ({ targets, bits: fittingBits(targets) }))
  .filter(({ targets }) => targets < 1_000_000 || !options.flag('quick'));
/** As many bins as a role may have: what is renewed, and the dearest that a snapshot can be. */
const MOST_BINS = { targets: options.flag('quick') ? 100_000 : 1_000_000, bits: BIN_LIMITS.bits };

const bars: Bar[] = [];
const rows: string[][] = [];
const scene = await prepare();
const cleanUp = (): Promise<void> => rm(scene.folder, { recursive: true, force: true });
process.once('SIGINT', () => void cleanUp().finally(() => process.exit(130)));
try {
  if (wanted('single')) await single();
  if (wanted('uploaded') || wanted('files') || wanted('beside')) await sustained();
} finally {
  await cleanUp();
}
const disk = measureDisk();
const [load = 0] = loadavg();
if (options.json)
  console.log(JSON.stringify({ schema: 'ironport.bench-publish/v1', disk, load, rows, bars }));
else {
  console.log(table(['publication', 'median s', 'p99 s', 'a second', 'CPU s', 'peak MiB'], rows));
  console.log(
    `\nthe disk: ${disk.syncsPerSecond} fsyncs a second, p99 ${(disk.p99Seconds * 1000).toFixed(1)} ms; the machine: ${cpus().length} processors, load ${load.toFixed(1)}`,
  );
  console.log(`\n${barTable(bars)}`);
}

async function prepare(): Promise<Scene> {
  say('a repository with nine vendors …');
  return await makePlaces();
}

async function single(): Promise<void> {
  const sizes: Sized[] = [];
  for (const size of [...SIZES, MOST_BINS]) {
    say(`a vendor of ${size.targets} targets in ${2 ** size.bits} bins …`);
    const place = await placeOf(scene, `of-${size.targets}-${size.bits}`);
    await grow(place, size.targets, size.bits);
    await demandSound(place.repository);
    const service = await startService(place);
    const vendor = await BenchVendor.open(place.vendor, service.url);
    sizes.push({ ...size, place, service, vendor, took: [], published: [] });
  }
  say(`${options.rounds} publications into each …`);
  // The first ones are those of a program that has just started.
  await publishSingly(sizes, Math.ceil(options.rounds / 10), 'first');
  for (const size of sizes) size.took.length = 0;
  await publishSingly(sizes, options.rounds, 'single');
  for (const { vendor, published } of sizes) await vendor.demandListed(published);
  const [smallest, largest, most] = [sizes[0], sizes.at(-2), sizes.at(-1)] as [Sized, Sized, Sized];
  bars.push({
    what: `one artifact into ${largest.targets}, in ${smallest.targets}`,
    measured: ratio(median(largest.took), median(smallest.took)),
    atMost: 1.5,
    unit: '×',
  });
  await renewed(most);
  for (const size of sizes) await ended(size);
}

/** All bins of it, with a new date. */
async function renewed({ bits, place, service }: Sized): Promise<void> {
  const bins = 2 ** bits;
  say(`${bins} bins are renewed …`);
  const run = await renew(place, service.url);
  bars.push({ what: `${bins} bins renewed`, measured: run.wallSeconds, atMost: 60, unit: 's' });
  rows.push([
    `${bins} bins renewed (publisher)`,
    seconds(run.wallSeconds),
    '–',
    (bins / run.wallSeconds).toFixed(0),
    seconds(run.cpuSeconds),
    mebibytes(run.peakMiB),
  ]);
}

/** Its service stops and says what it took; everything that it published is verified again. */
async function ended({ targets, bits, service, vendor, took, place }: Sized): Promise<void> {
  await vendor.close();
  const run = await service.stop();
  const what = `one into ${targets} in ${2 ** bits} bins`;
  const p99 = quantile(took, 0.99);
  const { cpuSeconds, peakMiB } = run;
  rows.push([
    what,
    seconds(median(took)),
    seconds(p99),
    '–',
    seconds(cpuSeconds),
    mebibytes(peakMiB),
  ]);
  bars.push({ what: `${what}: p99`, measured: p99, atMost: 0.5, unit: 's' });
  if (targets === 1_000_000)
    bars.push({ what: `${what}: memory`, measured: peakMiB, atMost: 500, unit: 'MiB' });
  await demandSound(place.repository);
}

async function sustained(): Promise<void> {
  const place = await placeOf(scene, 'sustained');
  await grow(place, 1_000, 8);
  const service = await startService(place);
  const folders = [place.vendor, ...BESIDE.map(scene.vendor)];
  const vendors = await Promise.all(folders.map((folder) => BenchVendor.open(folder, service.url)));
  const [acme, ...beside] = vendors as [BenchVendor, ...BenchVendor[]];
  if (wanted('uploaded')) {
    say('blobs that are there already …');
    rated('targets whose blobs are there', await publishUploaded(acme, 500, 5), 1_000);
  }
  if (wanted('files')) {
    say("files on the vendor's disk …");
    rated('artifacts from files', await publishFiles(place, service.url, 2_000), 200);
  }
  if (wanted('beside')) {
    say('eight vendors side by side …');
    const rate = await publishBeside(beside, 50);
    rated('single publications by 8 vendors', rate, 50, rate.took);
  }
  for (const vendor of vendors) await vendor.close();
  const run = await service.stop();
  rows.push(['their service', '–', '–', '–', seconds(run.cpuSeconds), mebibytes(run.peakMiB)]);
  await demandSound(place.repository);
}

function rated(
  what: string,
  { count, seconds: took }: Rate,
  atLeast: number,
  each: readonly number[] = [],
): void {
  const one = (value: number | undefined): string => (each.length === 0 ? '–' : seconds(value));
  const rate = count / took;
  rows.push([what, one(median(each)), one(quantile(each, 0.99)), rate.toFixed(0), '–', '–']);
  bars.push({ what, measured: rate, atLeast, unit: '/s' });
}
