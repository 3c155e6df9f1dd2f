/**
 * What a driver asked of the kernel and was refused, of its device's descriptor above all, in words: a
 * bounded number of kinds, each told of at its first, second, fourth, eighth time and so on, as a broker
 * tells of requests. Pure.
 */

import { hexU64 } from '../../shared/manifest/numbers.ts';
import { SYSCALL } from '../sandbox/syscalls.ts';

/** A refusal that is worth a line. */
export interface DeviceRefusal {
  /** `ioctl VFIO_DEVICE_RESET`, `pwrite64 in configuration space`, `dup`. */
  readonly what: string;
  /** Whether it was asked of the device's descriptor. */
  readonly ofDevice: boolean;
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

/** Calls that no driver has, by the numbers of x86-64: what somebody tries who wants out. */
const NEVER: Readonly<Record<string, readonly number[]>> = {
  open: [2, 85, 304, 437],
  socket: [41, 42, 46, 47, 49, 50],
  socketpair: [53],
  fork: [57, 58],
  execve: [59],
  kill: [62, 129, 200, 234, 297],
  truncate: [76],
  ftruncate: [77],
  ptrace: [101],
  setuid: [105, 106, 113, 114],
  setsid: [112],
  personality: [135],
  setpriority: [141],
  pivot_root: [155],
  chroot: [161],
  mount: [165, 166, 428, 429, 430, 432, 442],
  'load code into the kernel': [175, 246, 313, 320],
  keys: [248, 249, 250],
  unshare: [272],
  fallocate: [285],
  perf_event_open: [298],
  setns: [308],
  'memory of another process': [310, 311],
  memfd_create: [319],
  bpf: [321],
  userfaultfd: [323],
  io_uring: [425, 426, 427],
};

const NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(NEVER).flatMap(([name, calls]) => calls.map((nr) => [nr, name] as const)),
  ...Object.entries(SYSCALL).map(([name, nr]) => [nr, name] as const),
]);

/** vfio_pci_core.h, VFIO_PCI_OFFSET_SHIFT; VFIO_PCI_ROM_REGION_INDEX and those after it. */
const REGION_SHIFT = 40n;
const OTHER_REGIONS = ['the ROM', 'configuration space', 'the VGA region'];
/** Which argument is an offset of the descriptor. */
const OFFSETS: Readonly<Record<string, number>> = { pread64: 3, pwrite64: 3, mmap: 5 };

/** Which argument is the descriptor; the first, where it is not said. */
const DESCRIPTORS: Readonly<Record<string, number>> = { mmap: 4 };
/** Calls that are refused of this descriptor, where others may be allowed. */
const OF_DESCRIPTOR = /^(p?(read|write)(64|v|v2)?|dup[23]?|fcntl|ioctl|mmap)$/;

export class DeviceRefusals {
  readonly #device: bigint | undefined;
  readonly #counts = new Map<string, number>();
  #ofDevice = 0;

  /** `device`: the number of the device's descriptor in the driver; undefined when it has none. */
  constructor(device: number | undefined) {
    this.#device = device === undefined ? undefined : BigInt(device);
  }

  /** How many were of the device's descriptor. */
  get total(): number {
    return this.#ofDevice;
  }

  /** Counts it; returns what to say about it, or nothing. */
  note(nr: number, args: readonly bigint[]): DeviceRefusal | undefined {
    const name = NAMES.get(nr) ?? 'another call';
    // The kernel looks at the lower half of the number of a descriptor alone.
    const fd = BigInt.asUintN(32, args[DESCRIPTORS[name] ?? 0] ?? 0n);
    const ofDevice = fd === this.#device && OF_DESCRIPTOR.test(name);
    const what = ofDevice ? describe(name, args) : name;
    if (ofDevice) this.#ofDevice++;
    const key = `${ofDevice} ${what}`;
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    if (!Number.isInteger(Math.log2(count))) return undefined;
    return { what, ofDevice, count, arguments: args.map(hexU64) };
  }
}

function describe(name: string, args: readonly bigint[]): string {
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
