/**
 * Reading what the kernel says about a PCI device: sysfs's `resource` file, the configuration
 * space, and an IOMMU group's `reserved_regions`. The bytes come from hardware and are taken as
 * hostile: every walk is bounded, every pointer masked and checked.
 */

import { IronError } from '../errors.ts';
import type { DeviceBar, DeviceInterrupts } from './device.ts';
import { type Window, windowAt } from './windows.ts';

/** BAR registers of a header of type 0 (PCI 3.0, 6.2.5). */
const BARS = 6;
/** include/linux/ioport.h */
const IORESOURCE_IO = 0x100n;
const IORESOURCE_MEM = 0x200n;
const IORESOURCE_UNSET = 0x20000000n;

/**
 * The BARs in a sysfs `resource` file: a line each, `start end flags`, the end being the last
 * address. Lines after the sixth are the ROM and bridge windows and belong to no BAR. `E_SCHEMA`.
 */
export function parseResourceFile(text: string): DeviceBar[] {
  const lines = text.split('\n').slice(0, BARS);
  return lines.flatMap((line, index) => {
    if (line === '') return [];
    const match = /^(0x[0-9a-f]{1,16}) (0x[0-9a-f]{1,16}) (0x[0-9a-f]{1,16})$/.exec(line);
    if (match === null)
      throw new IronError('E_SCHEMA', `line ${index + 1} of a resource file is unreadable`);
    const [start, last, flags] = match.slice(1).map(BigInt) as [bigint, bigint, bigint];
    const kind =
      (flags & IORESOURCE_IO) !== 0n
        ? 'io'
        : (flags & IORESOURCE_MEM) !== 0n
          ? 'memory'
          : undefined;
    // No type: no BAR, or the upper half of a 64-bit one.
    if (kind === undefined) return [];
    if (last < start)
      throw new IronError('E_SCHEMA', `line ${index + 1} of a resource file ends before it starts`);
    // An unset resource keeps its size; its address is an offset and means nothing.
    const base = (flags & IORESOURCE_UNSET) !== 0n ? 0n : start;
    return [{ index, base, size: last - start + 1n, kind }];
  });
}

const STATUS = 0x06;
const STATUS_CAPABILITIES = 0x10;
const CAPABILITIES = 0x34;
const INTERRUPT_PIN = 0x3d;
const CAP_MSI = 0x05;
const CAP_MSIX = 0x11;

/**
 * How a device can interrupt, from its configuration space. The kernel shows unprivileged readers
 * the first 64 bytes only: then no vectors are found, and none are granted.
 */
export function parseInterrupts(config: Uint8Array): DeviceInterrupts {
  const at = (offset: number): number => config[offset] ?? 0;
  let msi = 0;
  let msix = 0;
  let pointer = (at(STATUS) & STATUS_CAPABILITIES) !== 0 ? at(CAPABILITIES) & 0xfc : 0; // PCI 3.0, 6.7
  // 48 capabilities of four bytes fill the space after the header: a longer walk is a loop.
  for (let step = 0; step < 48 && pointer >= 0x40 && pointer + 4 <= config.length; step++) {
    const control = at(pointer + 2) | (at(pointer + 3) << 8);
    if (at(pointer) === CAP_MSI) {
      const exponent = (control >> 1) & 7; // PCI 3.0, 6.8.1.3: 6 and 7 are reserved
      msi = exponent <= 5 ? 1 << exponent : 0;
    } else if (at(pointer) === CAP_MSIX) {
      msix = (control & 0x7ff) + 1; // PCI 3.0, 6.8.2.3
    }
    pointer = at(pointer + 1) & 0xfc;
  }
  return { intx: at(INTERRUPT_PIN) !== 0, msi, msix };
}

/** The windows in `/sys/kernel/iommu_groups/N/reserved_regions`: `first last type` a line. `E_SCHEMA`. */
export function parseReservedRegions(text: string): Window[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const match = /^(0x[0-9a-f]{1,16}) (0x[0-9a-f]{1,16}) [a-z-]+$/.exec(line);
      const [first, last] = (match ?? []).slice(1, 3).map(BigInt);
      if (first === undefined || last === undefined || last < first) {
        throw new IronError('E_SCHEMA', 'a line of reserved_regions is unreadable');
      }
      return windowAt(first, last - first + 1n);
    });
}
