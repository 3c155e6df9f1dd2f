/** Who has a device open through VFIO: its node, or the node of its group. */

import { readdir, readlink } from 'node:fs/promises';
import type { Sysfs } from './sysfs.ts';

/** Process ids, this one's too. A process that ends meanwhile, or is not ours to look into, is not told. */
export async function findHolders(sysfs: Sysfs, bdf: string, proc = '/proc'): Promise<number[]> {
  const nodes = await nodesOf(sysfs, bdf);
  const holders: number[] = [];
  for (const pid of await readdir(proc).catch(() => [])) {
    if (!/^[1-9][0-9]*$/.test(pid)) continue;
    const folder = `${proc}/${pid}/fd`;
    for (const fd of await readdir(folder).catch(() => [])) {
      const node = await readlink(`${folder}/${fd}`).catch(() => '');
      if (!nodes.has(node)) continue;
      holders.push(Number(pid));
      break;
    }
  }
  return holders;
}

/** The nodes that it is opened by: of the device itself, and of its group. */
async function nodesOf(sysfs: Sysfs, bdf: string): Promise<ReadonlySet<string>> {
  const folder = await sysfs.deviceFolder(bdf);
  const own = await sysfs.names(`${folder}/vfio-dev`).catch((): string[] => []);
  const group = await sysfs.linkName(`${folder}/iommu_group`);
  return new Set([
    ...own.map((name) => `/dev/vfio/devices/${name}`),
    ...(group === undefined ? [] : [`/dev/vfio/${group}`]),
  ]);
}
