import type { GroupMember } from '../host/group.ts';
import type { Gate } from './gate.ts';

/** PCI Code and ID Assignment: base class 06h, subclass 04h, a PCI-to-PCI bridge. */
const PCI_BRIDGE = 0x0604;
/** Drivers of bridges that map no DMA of their own. */
const BRIDGE_DRIVERS: readonly (string | null)[] = [null, 'pcieport', 'shpchp'];

/**
 * Members of one group can reach each other past the IOMMU: all of them belong to the grant, or
 * none is bound. A bridge with the port driver is part of the way and no partner.
 */
export const uncoveredMember: Gate = {
  reason: 'group-member-uncovered',
  rule: 'Documentation/driver-api/vfio.rst: a group is viable when all of it is',
  code: 'E_GROUP_SHARED',
  check({ device }) {
    if (device.group === null) return undefined;
    const { id, members } = device.group;
    if (!members.some((member) => member.path === device.path))
      return {
        what: `who is in its IOMMU group ${id} is not to be told: the kernel does not show the device itself in it`,
        remedy: 'see that `iommu_group/devices` of the device in sysfs can be read',
      };
    const others = members.filter(
      (member) => member.path !== device.path && !isPlainBridge(member),
    );
    if (others.length === 0) return undefined;
    const names = others.map(({ path, driver }) => `${path} (${driver ?? 'no driver'})`).join(', ');
    return {
      what: `its IOMMU group ${id} holds what the grant does not cover: ${names}`,
      remedy: 'use a slot whose bridge isolates (ACS), or leave the whole group to its drivers',
    };
  },
};

function isPlainBridge(member: GroupMember): boolean {
  return member.class >> 8 === PCI_BRIDGE && BRIDGE_DRIVERS.includes(member.driver);
}
