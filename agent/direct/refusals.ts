/**
 * What a driver asked of its device's descriptor and was refused, in words: a bounded number of kinds,
 * each told of at its first, second, fourth, eighth time and so on, as a broker tells of requests.
 * Pure.
 */

import { hexU64 } from '../../shared/manifest/numbers.ts';
import { SYSCALL } from '../sandbox/syscalls.ts';

/** A refusal that is worth a line. */
export interface DeviceRefusal {
  /** `ioctl VFIO_DEVICE_RESET`, `pwrite64 in configuration space`, `dup`. */
  readonly what: string;
  /** How many of this kind by now. */
  readonly count: number;
  /** All six registers of the call. */
  readonly arguments: readonly string[];
}

/** include/uapi/linux/vfio.h, as numbers of requests to a device. */
const REQUESTS: ReadonlyMap<bigint, string> = new Map([
  [0x3b6en, 'VFIO_DEVICE_SET_IRQS'],
  [0x3b6fn, 'VFIO_DEVICE_RESET'],
  [0x3b70n, 'VFIO_DEVICE_GET_PCI_HOT_RESET_INFO'],
  [0x3b71n, 'VFIO_DEVICE_PCI_HOT_RESET'],
  [0x3b72n, 'VFIO_DEVICE_QUERY_GFX_PLANE'],
  [0x3b73n, 'VFIO_DEVICE_GET_GFX_DMABUF'],
  [0x3b74n, 'VFIO_DEVICE_IOEVENTFD'],
  [0x3b75n, 'VFIO_DEVICE_FEATURE'],
  [0x3b76n, 'VFIO_DEVICE_BIND_IOMMUFD'],
  [0x3b77n, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT'],
  [0x3b78n, 'VFIO_DEVICE_DETACH_IOMMUFD_PT'],
]);

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(SYSCALL).map(([name, nr]) => [nr, name]),
);

/** vfio_pci_core.h, VFIO_PCI_OFFSET_SHIFT; VFIO_PCI_ROM_REGION_INDEX and those after it. */
const REGION_SHIFT = 40n;
const OTHER_REGIONS = ['the ROM', 'configuration space', 'the VGA region'];
/** Which argument is an offset of the descriptor. */
const OFFSETS: Readonly<Record<string, number>> = { pread64: 3, pwrite64: 3, mmap: 5 };

export class DeviceRefusals {
  readonly #counts = new Map<string, number>();

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Counts it; returns what to say about it, or nothing. */
  note(nr: number, args: readonly bigint[]): DeviceRefusal | undefined {
    const what = describe(nr, args);
    const count = (this.#counts.get(what) ?? 0) + 1;
    this.#counts.set(what, count);
    if (!Number.isInteger(Math.log2(count))) return undefined;
    return { what, count, arguments: args.map(hexU64) };
  }
}

function describe(nr: number, args: readonly bigint[]): string {
  const name = NAMES.get(nr) ?? 'another call';
  // The kernel looks at the lower half of a request alone.
  if (name === 'ioctl')
    return `ioctl ${REQUESTS.get(BigInt.asUintN(32, args[1] ?? 0n)) ?? 'of another request'}`;
  const offset = OFFSETS[name];
  return offset === undefined ? name : `${name} in ${regionOf(args[offset] ?? 0n)}`;
}

function regionOf(offset: bigint): string {
  const index = offset >> REGION_SHIFT;
  if (index <= 5n) return `BAR ${index}`;
  return OTHER_REGIONS[Number(index - 6n)] ?? 'no region';
}
