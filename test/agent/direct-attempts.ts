/**
 * What a driver that has its device's descriptor may do with it, and what it may not, one system call
 * each: with a BAR of one page, one of two, and one that does not fit into 32 bits.
 */

import type { DirectRegion } from '../../agent/sandbox/direct-profile.ts';
import type { Syscall } from './elf.ts';

/** Its number in the driver; 4 is a window of memory. */
export const DEVICE = 3;
const WINDOW = 4;
const at = (index: number): bigint => BigInt(index) << 40n;
export const REGIONS: readonly DirectRegion[] = [
  { offset: at(0), size: 0x1000n },
  { offset: at(2), size: 0x2000n },
  { offset: at(4), size: 0x1_8000_0000n },
];

const BUFFER = new Uint8Array(64);
/** No memory of the program's: control calls that would write much fail there instead. */
const NOWHERE = 8;
/** PROT_READ | PROT_WRITE, MAP_SHARED */
const map = (length: bigint, offset: bigint, prot = 3, flags = 1, fd = DEVICE): Syscall => [
  ...([9, 0, length, prot, flags, fd, offset] as const),
];
const vector = (): Uint8Array => new Uint8Array(new BigUint64Array([8n, 0n]).buffer);

/** Answered as if there were no filter; of a file, requests about devices are not (ENOTTY). */
export const ALLOWED: readonly (readonly [what: string, answer: number | 'address', ...Syscall])[] =
  [
    ['a register', 4, 17, DEVICE, BUFFER, 4, 0],
    ['the last eight bytes', 8, 17, DEVICE, BUFFER, 8, 0xff8],
    ['the last byte', 1, 17, DEVICE, BUFFER, 1, 0xfff],
    ['a byte in the middle of a register', 2, 17, DEVICE, BUFFER, 2, 0x801],
    ['a write', 4, 18, DEVICE, BUFFER, 4, at(2)],
    ['the last write', 2, 18, DEVICE, BUFFER, 2, at(2) + 0x1ffen],
    ['across a half of the offset', 4, 17, DEVICE, BUFFER, 4, at(4) + 0xffff_fffen],
    ['the last of a long one', 4, 17, DEVICE, BUFFER, 4, at(4) + 0x1_7fff_fffcn],
    ['what the device is', -25, 16, DEVICE, 0x3b6b, BUFFER],
    ['what a region is', -25, 16, DEVICE, 0x3b6c, BUFFER],
    ['what an interrupt is', -25, 16, DEVICE, 0x3b6d, BUFFER],
    ['a BAR, mapped', 'address', ...map(0x1000n, at(0))],
    ['a BAR, mapped to be read', 'address', ...map(0x2000n, at(2), 1)],
    ['a long BAR, mapped', 'address', ...map(0x1_8000_0000n, at(4))],
    ['memory, read', 64, 17, WINDOW, BUFFER, 64, 7],
    ['memory, read on', 64, 0, WINDOW, BUFFER, 64],
    ['memory, written', 64, 18, WINDOW, BUFFER, 64, 4096],
    ['memory, mapped in part', 'address', ...map(0x1000n, 0x1000n, 3, 1, WINDOW)],
    ['memory of its own', 'address', ...map(0x1000n, 0n, 3, 0x22, -1)],
    ['to close the memory', 0, 3, WINDOW],
  ];

const OUTSIDE: readonly (readonly [what: string, width: number, offset: bigint | number])[] = [
  ['past the end by a byte', 4, 0xffd],
  ['past the end by all but one', 4, 0xfff],
  ['behind the end', 4, 0x1000],
  ['behind the end, far', 4, 0xff_ffff_fffcn],
  ['another BAR', 4, at(1)],
  ['a BAR above', 4, at(5)],
  ['past the end of the second', 8, at(2) + 0x1ff9n],
  ['behind the second', 1, at(2) + 0x2000n],
  ['before the second', 4, at(2) - 4n],
  ['into the second from before', 4, at(2) - 2n],
  ['past the end of the long one', 4, at(4) + 0x1_7fff_fffdn],
  ['behind the long one', 1, at(4) + 0x1_8000_0000n],
  ['the ROM', 4, at(6)],
  ['COMMAND', 2, at(7) + 4n],
  ['configuration space', 4, at(7)],
  ['the VGA region', 4, at(8)],
  ['no region', 4, at(200)],
  ['before the beginning', 4, -4],
  ['the far end', 4, 1n << 63n],
];

const WIDTHS: readonly (readonly [what: string, width: bigint | number])[] = [
  ['nothing at all', 0],
  ['three bytes', 3],
  ['nine bytes', 9],
  ['sixteen bytes', 16],
  ['a page', 4096],
  ['four bytes and 2^32', (1n << 32n) + 4n],
  ['less than nothing', -4],
];

/** Refused with EPERM, and told of; without a filter, answered with anything else. */
export const REFUSED: readonly (readonly [what: string, told: string, ...Syscall])[] = [
  ...[17, 18].flatMap((nr) => [
    ...OUTSIDE.map(
      ([what, width, offset]) =>
        [`${nr}: ${what}`, nameOf(nr, offset), nr, DEVICE, BUFFER, width, offset] as const,
    ),
    ...WIDTHS.map(
      ([what, width]) => [`${nr}: ${what}`, nameOf(nr, 0), nr, DEVICE, NOWHERE, width, 0] as const,
    ),
    [
      `${nr}: by a number of 64 bits`,
      nameOf(nr, at(7)),
      ...([nr, (1n << 32n) + BigInt(DEVICE), BUFFER, 4, at(7) + 4n] as const),
    ] as const,
  ]),
  ['to read on', 'read', 0, DEVICE, BUFFER, 4],
  ['to write on', 'write', 1, DEVICE, BUFFER, 4],
  ['to read into pieces', 'readv', 19, DEVICE, vector(), 1],
  ['to write from pieces', 'writev', 20, DEVICE, vector(), 1],
  ['pieces at a place', 'preadv', 295, DEVICE, vector(), 1, at(7), 0],
  ['pieces to a place', 'pwritev', 296, DEVICE, vector(), 1, at(7), 0],
  ['pieces at a place, again', 'preadv2', 327, DEVICE, vector(), 1, at(7), 0, 0],
  ['pieces to a place, again', 'pwritev2', 328, DEVICE, vector(), 1, at(7), 0, 0],
  ['another number for it', 'dup', 32, DEVICE],
  ['a number of its choice', 'dup2', 33, DEVICE, 9],
  ['a number and a flag', 'dup3', 292, DEVICE, 9, 0],
  ['F_DUPFD', 'fcntl', 72, DEVICE, 0, 9],
  ['F_DUPFD_CLOEXEC', 'fcntl', 72, DEVICE, 1030, 9],
  ['F_GETFL', 'fcntl', 72, DEVICE, 3],
  ...(
    [
      [0x3b6e, 'VFIO_DEVICE_SET_IRQS'],
      [0x3b6f, 'VFIO_DEVICE_RESET'],
      [0x3b70, 'VFIO_DEVICE_GET_PCI_HOT_RESET_INFO'],
      [0x3b71, 'VFIO_DEVICE_PCI_HOT_RESET'],
      [0x3b74, 'VFIO_DEVICE_IOEVENTFD'],
      [0x3b75, 'VFIO_DEVICE_FEATURE'],
      [0x3b76, 'VFIO_DEVICE_BIND_IOMMUFD'],
      [0x3b77, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT'],
      [0x3b78, 'VFIO_DEVICE_DETACH_IOMMUFD_PT'],
      [0x5421, 'of another request'],
      [0x3b6a, 'of another request'],
      [0x1_0000_3b6f, 'VFIO_DEVICE_RESET'],
    ] as const
  ).map(([request, name]) => [name, `ioctl ${name}`, 16, DEVICE, request, NOWHERE] as const),
  ['a longer mapping', 'mmap in BAR 0', ...map(0x2000n, at(0))],
  ['a mapping by 2^32 longer', 'mmap in BAR 0', ...map((1n << 32n) + 0x1000n, at(0))],
  ['a part of a BAR', 'mmap in BAR 2', ...map(0x1000n, at(2))],
  ['the other part', 'mmap in BAR 2', ...map(0x1000n, at(2) + 0x1000n)],
  ['a BAR that was not granted', 'mmap in BAR 1', ...map(0x1000n, at(1))],
  ['configuration space, mapped', 'mmap in configuration space', ...map(0x1000n, at(7))],
  ['registers to be run', 'mmap in BAR 0', ...map(0x1000n, at(0), 5)],
  ['a copy of registers', 'mmap in BAR 0', ...map(0x1000n, at(0), 3, 2)],
  ['registers that grow', 'mmap in BAR 0', ...map(0x1000n, at(0), 3, 0x101)],
  ['registers, filled at once', 'mmap in BAR 0', ...map(0x1000n, at(0), 3, 0x8001)],
];

function nameOf(nr: number, offset: bigint | number): string {
  const index = BigInt.asUintN(64, BigInt(offset)) >> 40n;
  const others = ['the ROM', 'configuration space', 'the VGA region'];
  const where = index < 6n ? `BAR ${index}` : (others[Number(index) - 6] ?? 'no region');
  return `${nr === 17 ? 'pread64' : 'pwrite64'} in ${where}`;
}
