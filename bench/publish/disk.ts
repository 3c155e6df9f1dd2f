/** What the disk itself takes to make something durable, beside which all else is read. */

import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { quantile } from './quantile.ts';

export interface Disk {
  readonly syncsPerSecond: number;
  readonly p99Seconds: number;
}

/** 4 KiB appended and fsync'ed, one after the other, for a second. */
export function measureDisk(): Disk {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-disk-'));
  const file = openSync(join(folder, 'file'), 'w');
  const block = new Uint8Array(4096).fill(1);
  const took: number[] = [];
  try {
    const began = performance.now();
    for (let now = began; now - began < 1000; ) {
      writeSync(file, block);
      fsyncSync(file);
      const after = performance.now();
      took.push((after - now) / 1000);
      now = after;
    }
  } finally {
    closeSync(file);
    rmSync(folder, { recursive: true });
  }
  return { syncsPerSecond: took.length, p99Seconds: quantile(took, 0.99) };
}
