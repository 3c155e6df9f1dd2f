/** Entries of an index, as tests want them. */

import type { IndexEntry, ProductIndex } from '../../shared/product/index-file.ts';
import { TODAY } from '../support/clock.ts';

export function entry(version: string, change: Partial<IndexEntry> = {}): IndexEntry {
  return {
    path: `acme/edu/${version}/edu.js`,
    version,
    length: 10,
    sha256: version.replace(/[^0-9]/g, '').padEnd(64, 'a'),
    channel: 'stable',
    rolloutPercent: 100,
    devices: [{ vendor: 0x1234, device: 0x11e8 }],
    abi: { min: 1, max: 1 },
    generation: 1,
    released: TODAY,
    notes: '',
    fixes: [],
    ...change,
  };
}

export function index(...entries: readonly IndexEntry[]): ProductIndex {
  return { vendor: 'acme', product: 'edu', revision: 1, entries };
}
