/** That a device which nobody holds reaches nothing: tried by whoever could open it, the worst way. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readlinkSync, readSync, writeSync } from 'node:fs';
import { openDevice } from '../../../agent/host/choose-backend.ts';
import { Sysfs } from '../../../agent/host/sysfs.ts';
import { REGION } from '../../../agent/host/uapi.ts';
import { VfioDevice } from '../../../agent/host/vfio-device.ts';
import type { Backend } from '../cases/case.ts';
import { Edu, pattern } from './edu.ts';

const LENGTH = 4096;

/** The memory of this process's only window, by a descriptor that stays when the window goes. */
export function keepWindow(): number {
  const windows = readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('/memfd:ironport-dma');
    } catch {
      // The descriptor that lists them is gone by now.
      return false;
    }
  });
  equal(windows.length, 1, 'control: there is one window');
  return openSync(`/proc/self/fd/${windows[0]}`, 'r+');
}

/**
 * Opens the device, which is bound to `vfio-pci`, makes it bus master and has it write to `iova`, where
 * `memory` was mapped: not a byte of that changes. Closes both.
 */
export async function staysStillAfter(
  backend: Backend,
  bdf: string,
  memory: number,
  iova: bigint,
): Promise<void> {
  const before = pattern(LENGTH, 41);
  equal(writeSync(memory, before, 0, LENGTH, 0), LENGTH);
  const space = await openDevice(backend, await Sysfs.open('/sys'), bdf);
  const device = new VfioDevice(space.device);
  device.setBusMaster(true);
  ok(device.isBusMaster, 'control: it is bus master');
  await new Edu(space.device, device.region(REGION.bar0).offset).give(iova, LENGTH);
  const after = Buffer.alloc(LENGTH);
  equal(readSync(memory, after, 0, LENGTH, 0), LENGTH);
  deepEqual(after, before, 'nothing moved');
  device.setBusMaster(false);
  space.close();
  closeSync(memory);
}
