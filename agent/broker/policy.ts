/**
 * Whether an access is served: what no window allows is refused. Offsets are 64 bits wide and are
 * compared as such, so that none wraps. Pure; uses nothing but what it is given (`program.ts`).
 */

import type { RegisterAccess } from '../../shared/manifest/ceiling.ts';
import type { Request, STATUS, Status, WIRE } from './wire.ts';

/** Registers that may be touched: `start` to just before `end` in a region of the device. */
export interface ServedWindow {
  readonly region: number;
  readonly start: bigint;
  readonly end: bigint;
  readonly access: RegisterAccess;
}

/** `good` when the request is served, else why it is not. */
export type Policy = (request: Request) => Status;

export function policyOf(
  windows: readonly ServedWindow[],
  wire: typeof WIRE,
  statuses: typeof STATUS,
): Policy {
  return ({ version, op, width, region, offset, value }) => {
    const isWrite = op === wire.op.write;
    if (version !== wire.version || !(isWrite || op === wire.op.read)) return statuses.malformed;
    // Eight bytes are two accesses on kernels before 6.15 (drivers/vfio/pci/vfio_pci_rdwr.c).
    if (width !== 1 && width !== 2 && width !== 4) return statuses.width;
    // What is asked for is what is done: nothing is cut off.
    if (value >= (isWrite ? 1n << BigInt(8 * width) : 1n)) return statuses.malformed;
    if (offset % BigInt(width) !== 0n) return statuses.unaligned;
    const here = windows.filter((window) => window.region === region);
    if (here.length === 0) return statuses.region;
    const window = here.find(
      ({ start, end }) => start <= offset && offset < end && BigInt(width) <= end - offset,
    );
    if (window === undefined) return statuses.outside;
    return isWrite && window.access === 'read' ? statuses.readOnly : statuses.good;
  };
}
