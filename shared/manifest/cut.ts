/** What every part of a grant is cut from, and where the cuts are taken down. */

import type { Ceiling } from './ceiling.ts';
import type { DeviceFacts } from './device.ts';
import type { PolicyEntry } from './policy.ts';

/** What a virtual function may have of its physical function. */
export interface VfBudget {
  readonly dmaBytes: bigint;
  readonly mmioBytes: bigint;
  readonly interruptsPerSecond: number;
}

export interface Cut {
  readonly ceiling: Ceiling;
  readonly entry: PolicyEntry;
  readonly device: DeviceFacts;
  /** Bytes of a page of this host. */
  readonly pageSize: bigint;
  readonly vfBudget: VfBudget | null;
}

/** Takes down in words why a grant is less than its ceiling. */
export type Note = (text: string) => void;
