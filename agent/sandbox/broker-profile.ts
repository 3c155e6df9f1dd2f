/**
 * What a broker may ask of the kernel: what its runtime needs, and of the device's descriptor nothing
 * but reading and writing at offsets inside BARs that were granted. Whoever took the broker over
 * could not reach configuration space, map a register or give the device a command: bus master,
 * interrupts, attachment and reset stay with the agent. Pure.
 */

import type { Condition, Profile, Rule } from './filter.ts';
import { RUNTIME_PROFILE } from './profiles.ts';

const ALL = 0xffffffff;
/** A region begins at its index shifted by 40 (VFIO_PCI_OFFSET_SHIFT): eight bits are within it. */
const REGION_MASK = 0xffffff00;

/** Calls that reach a descriptor by another argument than the offset. */
const PLAIN = ['read', 'write', 'readv', 'writev'] as const;

/** `device`: the descriptor's number in the broker; `regions`: the BARs that it may touch. */
export function brokerProfile(device: number, regions: readonly number[]): Profile {
  const isDevice: Condition = { argument: 0, mask: ALL, value: device };
  const isOther: Condition = { ...isDevice, differs: true };
  const inRegion = regions.map((region): Condition[] => [
    isDevice,
    { argument: 3, mask: REGION_MASK, value: region << 8, half: 'high' },
  ]);
  const replaced: Rule[] = [
    ...PLAIN.map((call): Rule => ({ call, when: [[isOther]] })),
    ...(['pread64', 'pwrite64'] as const).map(
      (call): Rule => ({ call, when: [[isOther], ...inRegion] }),
    ),
  ];
  const names = new Set(replaced.map(({ call }) => call));
  const kept = RUNTIME_PROFILE.rules.filter(({ call }) => !names.has(call));
  return {
    ...RUNTIME_PROFILE,
    name: 'broker',
    rules: [
      ...kept.map((rule) => (rule.call === 'mmap' ? notMapped(rule, device) : rule)),
      ...replaced,
    ],
  };
}

/** Neither is it mapped. */
function notMapped({ call, when = [[]] }: Rule, device: number): Rule {
  const isOther: Condition = { argument: 4, mask: ALL, value: device, differs: true };
  return { call, when: when.map((conditions) => [...conditions, isOther]) };
}
