/** What one vendor publishes in a row, and what eight of them do side by side. */

import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EDU } from '../../scripts/demo/honest.ts';
import type { Place } from './places.ts';
import { LIST_SCHEMA, publishList } from './programs.ts';
import type { BenchVendor, Goods, Signed } from './vendor.ts';

export interface Rate {
  readonly count: number;
  readonly seconds: number;
}

/**
 * Targets whose blobs, and the bins that list them, are there already: `rounds` submissions of
 * `artifacts` artifacts each, one after the other.
 */
export async function publishUploaded(
  vendor: BenchVendor,
  artifacts: number,
  rounds: number,
): Promise<Rate> {
  const all: Goods[] = [];
  const signed: Signed[] = [];
  for (let round = 0; round < rounds; round++) {
    const goods: Goods[] = [];
    for (let i = 0; i < artifacts; i++)
      goods.push(await vendor.make(`uploaded-${round}-${i}`, '1.0.0', 1024));
    signed.push(await vendor.sign(goods));
    all.push(...goods);
  }
  await vendor.upload(all, signed);
  const began = performance.now();
  for (const one of signed) await vendor.handIn(one);
  const seconds = (performance.now() - began) / 1000;
  await vendor.demandListed(all);
  return { count: all.reduce((sum, { entries }) => sum + entries.size, 0), seconds };
}

/** Files on the vendor's disk, by one run of the vendor's own program. */
export async function publishFiles(place: Place, url: string, artifacts: number): Promise<Rate> {
  const folder = join(place.vendor, 'files');
  await mkdir(folder, { recursive: true });
  const list: object[] = [];
  for (let i = 0; i < artifacts; i++) {
    const file = join(folder, `driver-${i}.bin`);
    await writeFile(file, randomBytes(65_536));
    const [product, version] = [`files-${i % 10}`, `1.0.${i}`];
    list.push({ file, product, version, ceiling: join(EDU, 'ceiling.json') });
  }
  const path = join(folder, 'list.json');
  await writeFile(path, JSON.stringify({ schema: LIST_SCHEMA, artifacts: list }));
  const { wallSeconds } = await publishList(place, url, path);
  return { count: artifacts, seconds: wallSeconds };
}

/** Each vendor one artifact after the other, all of them at once. */
export async function publishBeside(
  vendors: readonly BenchVendor[],
  each: number,
): Promise<Rate & { readonly took: readonly number[] }> {
  const ready = await Promise.all(
    vendors.map(async (vendor) => {
      const goods: Goods[] = [];
      const signed: Signed[] = [];
      for (let i = 0; i < each; i++) {
        goods.push(await vendor.make(`beside-${i}`, '1.0.0', 4096));
        signed.push(await vendor.sign(goods.slice(-1)));
      }
      return { vendor, goods, signed };
    }),
  );
  const took: number[] = [];
  const began = performance.now();
  await Promise.all(
    ready.map(async ({ vendor, goods, signed }) => {
      for (const [i, one] of signed.entries()) {
        const start = performance.now();
        await vendor.upload(goods.slice(i, i + 1), [one]);
        await vendor.handIn(one);
        took.push((performance.now() - start) / 1000);
      }
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  for (const { vendor, goods } of ready) await vendor.demandListed(goods);
  return { count: vendors.length * each, seconds, took };
}
