/** IOMMU groups: the smallest sets of devices that the hardware can keep apart. */

import { IronError } from '../../shared/errors.ts';
import { parseReservedRegions } from '../../shared/manifest/pci.ts';
import type { Window } from '../../shared/manifest/windows.ts';
import { isBdf } from './bdf.ts';
import type { Sysfs } from './sysfs.ts';

/** drivers/vfio/group.c: the name of groups that no IOMMU is behind. */
export const NOIOMMU_GROUP = 'vfio-noiommu';

export interface GroupMember {
  readonly path: string;
  readonly class: number;
  readonly driver: string | null;
}

export interface Group {
  /** Good until the next boot only: never a name for a device. */
  readonly id: number;
  /** `DMA`, `DMA-FQ`, `identity`, …; null on kernels that do not say. */
  readonly type: string | null;
  /** Set by drivers that make groups of their own, `NOIOMMU_GROUP` among them. */
  readonly name: string | null;
  readonly members: readonly GroupMember[];
  readonly reserved: readonly Window[];
}

/** The group of the device in `folder`, or null when the IOMMU does not hold it. */
export async function readGroup(sysfs: Sysfs, folder: string): Promise<Group | null> {
  const link = await sysfs.linkName(`${folder}/iommu_group`);
  if (link === undefined) return null;
  if (!/^(0|[1-9][0-9]{0,8})$/.test(link))
    throw new IronError('E_SCHEMA', `the IOMMU group of ${folder} has no number`);
  const place = `kernel/iommu_groups/${link}`;
  const members: GroupMember[] = [];
  for (const path of await sysfs.names(`${place}/devices`)) {
    members.push(await readMember(sysfs, path));
  }
  return {
    id: Number(link),
    type: (await sysfs.text(`${place}/type`))?.trim() ?? null,
    name: (await sysfs.text(`${place}/name`))?.trim() ?? null,
    members,
    reserved: parseReservedRegions((await sysfs.text(`${place}/reserved_regions`)) ?? ''),
  };
}

/** A member that is no PCI function gets a class that no rule excuses. */
async function readMember(sysfs: Sysfs, path: string): Promise<GroupMember> {
  if (!isBdf(path)) return { path, class: 0xff_ffff, driver: null };
  const folder = await sysfs.deviceFolder(path);
  const text = (await sysfs.text(`${folder}/class`))?.trim() ?? '';
  return {
    path,
    class: /^0x[0-9a-f]{6}$/.test(text) ? Number(text) : 0xff_ffff,
    driver: (await sysfs.linkName(`${folder}/driver`)) ?? null,
  };
}
