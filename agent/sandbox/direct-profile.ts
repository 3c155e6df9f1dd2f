/**
 * What a driver may ask of the kernel that has its device's descriptor: what its kind of program may,
 * and of that descriptor to be told what the device is, to map BARs that were granted, and to read
 * and write single registers in them. No command, no configuration space, no ROM, no copy of the
 * descriptor: bus master, interrupts, attachment and reset stay with the agent. Of what it asks of the
 * descriptor beyond that, whoever listens to the filter is told. Pure.
 *
 * The filter knows the descriptor by its number, which is the kernel's `unsigned int`: its upper half
 * is not looked at by either.
 */

import type { Condition, Conditions, Profile, Rule } from './filter.ts';
import type { SyscallName } from './syscalls.ts';

/** A BAR that was granted whole, as a range of the device's descriptor. */
export interface DirectRegion {
  readonly offset: bigint;
  readonly size: bigint;
}

/** include/uapi/linux/vfio.h: VFIO_DEVICE_GET_INFO, _GET_REGION_INFO, _GET_IRQ_INFO */
const INFORMATION = [0x3b6b, 0x3b6c, 0x3b6d];
/** Of one access: what registers have. More at once is for mappings. */
const WIDTHS = [1n, 2n, 4n, 8n];
/** F_GETFD, F_SETFD: what becomes of it when a program is run, which none is. */
const FLAGS = [1, 2];
const ALL = 0xffffffff;
const MAP_SHARED = 1;
const PROT_READ_WRITE = 3;

/** Calls that reach a descriptor past the offsets that are looked at, or make another number for it. */
const NEVER: readonly SyscallName[] = [
  ...(['dup', 'dup2', 'dup3', 'preadv', 'pwritev', 'preadv2', 'pwritev2'] as const),
];

/** `device`: the descriptor's number in the driver. */
export function directProfile(
  base: Profile,
  device: number,
  regions: readonly DirectRegion[],
): Profile {
  const isDevice: Condition = { argument: 0, mask: ALL, value: device };
  const isOther: Condition = { ...isDevice, differs: true };
  const own = (call: SyscallName, ofDevice: readonly Conditions[] = []): Rule => {
    const rule = base.rules.find((one) => one.call === call);
    const others = rule === undefined ? [] : (rule.when ?? [[]]);
    return {
      call,
      when: [...others.map((conditions) => [...conditions, isOther]), ...ofDevice],
      tell: [[isDevice]],
    };
  };
  const access = regions.flatMap((region) => WIDTHS.flatMap((width) => within(region, width)));
  const accessed = access.map((conditions): Conditions => [isDevice, ...conditions]);
  const flags = FLAGS.map((value): Conditions => [isDevice, { argument: 1, mask: ALL, value }]);
  const replaced: Rule[] = [
    ...(['read', 'write', 'readv', 'writev', ...NEVER] as const).map((call) => own(call)),
    // A runtime marks what it finds open; where none does, there is no such call.
    own('fcntl', base.rules.some(({ call }) => call === 'fcntl') ? flags : []),
    own('pread64', accessed),
    own('pwrite64', accessed),
    own(
      'ioctl',
      INFORMATION.map((value): Conditions => [isDevice, { argument: 1, mask: ALL, value }]),
    ),
    mapped(base, device, regions),
  ];
  const names = new Set(replaced.map(({ call }) => call));
  return {
    ...base,
    name: `${base.name}, direct`,
    rules: [...base.rules.filter(({ call }) => !names.has(call)), ...replaced],
  };
}

/** An access of `width` bytes that begins and ends in the region; none where it has not so many. */
function within({ offset, size }: DirectRegion, width: bigint): Conditions[] {
  if (size < width) return [];
  return [
    [
      ...exactly(2, width),
      { argument: 3, atLeast: offset },
      { argument: 3, below: offset + size - width + 1n },
    ],
  ];
}

/** Each region as a whole, shared, and never to be run. */
function mapped(base: Profile, device: number, regions: readonly DirectRegion[]): Rule {
  const isDevice: Condition = { argument: 4, mask: ALL, value: device };
  const { when: others = [[]] } = base.rules.find(({ call }) => call === 'mmap') ?? { when: [] };
  return {
    call: 'mmap',
    when: [
      ...others.map((conditions): Conditions => [...conditions, { ...isDevice, differs: true }]),
      ...regions.map(
        ({ offset, size }): Conditions => [
          isDevice,
          { argument: 2, mask: ~PROT_READ_WRITE, value: 0 },
          { argument: 3, mask: ALL, value: MAP_SHARED },
          ...exactly(1, size),
          ...exactly(5, offset),
        ],
      ),
    ],
    tell: [[isDevice]],
  };
}

/** All 64 bits of the argument. */
function exactly(argument: Condition['argument'], value: bigint): Condition[] {
  return [
    { argument, mask: ALL, value: Number(value & 0xffff_ffffn) },
    { argument, mask: ALL, value: Number(value >> 32n), half: 'high' },
  ];
}
