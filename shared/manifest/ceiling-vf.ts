/** What a ceiling says about virtual functions: how many, and the most that each may have. */

import type { Node } from '../json/decode.ts';
import { contradiction } from './contradiction.ts';
import type { VfBudget } from './cut.ts';
import { readU64 } from './numbers.ts';

export interface VirtualFunctionClaim {
  /** Most virtual functions of one physical function. PCIe 9.3.3.5 has 16 bits for TotalVFs. */
  readonly countMax: number;
  readonly each: VfBudget;
}

/**
 * Reads `{count_max, each: {dma_bytes, mmio_bytes, interrupts_per_second}}`. As in IronShim-rs
 * (`VirtualFunctionBinding`) a budget without DMA or without registers is none; without interrupts
 * it is one.
 */
export function parseVirtualFunctions(node: Node): VirtualFunctionClaim {
  node.only('count_max', 'each');
  const each = node.get('each').only('dma_bytes', 'mmio_bytes', 'interrupts_per_second');
  const budget = {
    dmaBytes: readU64(each.get('dma_bytes')),
    mmioBytes: readU64(each.get('mmio_bytes')),
    interruptsPerSecond: each.get('interrupts_per_second').integer(0),
  };
  if (budget.dmaBytes === 0n || budget.mmioBytes === 0n)
    throw contradiction(each, 'a virtual function without DMA or without registers');
  return { countMax: node.get('count_max').integer(1, 0xffff), each: budget };
}

/** The least of what the vendor's ceiling and the host's own budget allow one virtual function. */
export function leastBudget(claim: VirtualFunctionClaim | undefined, own: VfBudget): VfBudget {
  if (claim === undefined) return own;
  const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
  return {
    dmaBytes: least(claim.each.dmaBytes, own.dmaBytes),
    mmioBytes: least(claim.each.mmioBytes, own.mmioBytes),
    interruptsPerSecond: Math.min(claim.each.interruptsPerSecond, own.interruptsPerSecond),
  };
}
