/** What a fleet policy says about the virtual functions of a device: how many, and what all of them have. */

import type { Node } from '../json/decode.ts';
import type { VfBudget } from './cut.ts';
import { readU64 } from './numbers.ts';

export interface VfRules {
  /** Most virtual functions of one physical function. PCIe 9.3.3.5 has 16 bits for TotalVFs. */
  readonly countMax: number;
  /** Of all of them together. */
  readonly total: VfBudget;
}

/** Reads `{count_max, total: {dma_bytes, mmio_bytes, interrupts_per_second}}`. `E_SCHEMA`. */
export function readVfRules(node: Node): VfRules {
  node.only('count_max', 'total');
  const total = node.get('total').only('dma_bytes', 'mmio_bytes', 'interrupts_per_second');
  return {
    countMax: node.get('count_max').integer(1, 0xffff),
    total: {
      dmaBytes: readU64(total.get('dma_bytes'), 1n),
      mmioBytes: readU64(total.get('mmio_bytes'), 1n),
      interruptsPerSecond: total.get('interrupts_per_second').integer(0),
    },
  };
}
