/** How a device's way and the kernel's log are before it reaches anything: what comes after is news. */

import type { Sysfs } from '../host/sysfs.ts';
import { KernelLog } from './kernel-log.ts';
import { type PathState, readPath } from './path.ts';

export interface Baseline {
  /** Open, and read up to now; undefined without the right to read it. */
  readonly log: KernelLog | undefined;
  readonly path: PathState;
  close(): void;
}

/** The log first: what happens while the counters are read is in one of both. `E_NOT_FOUND`. */
export async function takeBaseline(
  sysfs: Sysfs,
  device: string,
  kernelLog?: string,
): Promise<Baseline> {
  const log = KernelLog.open(device, kernelLog);
  try {
    return { log, path: await readPath(sysfs, device), close: () => log?.close() };
  } catch (error) {
    log?.close();
    throw error;
  }
}
