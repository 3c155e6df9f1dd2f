/** One artifact after the other, into vendors of different sizes in turn. */

import type { Service } from '../large-artifact/steps.ts';
import type { Place } from './places.ts';
import type { BenchVendor, Goods } from './vendor.ts';

export interface Sized {
  readonly targets: number;
  readonly bits: number;
  readonly place: Place;
  readonly service: Service;
  readonly vendor: BenchVendor;
  /** Seconds from the last byte uploaded to visible, of each publication. */
  readonly took: number[];
  readonly published: Goods[];
}

const LENGTH = 65_536;

/** `rounds` publications into each, one of each in turn. */
export async function publishSingly(
  sizes: readonly Sized[],
  rounds: number,
  name: string,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (const { vendor, took, published } of sizes) {
      const goods = [await vendor.make(`${name}-${round}`, '1.0.0', LENGTH)];
      const signed = await vendor.sign(goods);
      await vendor.upload(goods, [signed]);
      const began = performance.now();
      await vendor.handIn(signed);
      took.push((performance.now() - began) / 1000);
      published.push(...goods);
    }
  }
}
