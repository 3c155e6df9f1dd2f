/** What a physical function shows of its virtual ones (Documentation/ABI/testing/sysfs-bus-pci, sriov_*). */

import type { JsonObject } from '../../shared/json/value.ts';
import type { VfState } from '../binding-state.ts';
import { isBdf } from './bdf.ts';
import type { Sysfs } from './sysfs.ts';

/** Null numbers are those that could not be read: not 0. */
export interface SriovFacts {
  readonly totalVfs: number | null;
  readonly numVfs: number | null;
  /** Whether drivers of the host may have new ones; null on kernels that do not say. */
  readonly autoprobe: boolean | null;
  /** Addresses, in the order of the hardware. */
  readonly vfs: readonly string[];
}

/** Of the function in `folder`; null when it has no such attributes. */
export async function readSriov(sysfs: Sysfs, folder: string): Promise<SriovFacts | null> {
  const total = await sysfs.text(`${folder}/sriov_totalvfs`);
  const number = await sysfs.text(`${folder}/sriov_numvfs`);
  if (total === undefined && number === undefined) return null;
  return {
    totalVfs: parseCount(total),
    numVfs: parseCount(number),
    autoprobe: parseBoolean(await sysfs.text(`${folder}/sriov_drivers_autoprobe`)),
    vfs: await listVfs(sysfs, folder),
  };
}

/** The part of it that making virtual functions changes. */
export async function readVfState(sysfs: Sysfs, folder: string): Promise<VfState> {
  return {
    count: parseCount(await sysfs.text(`${folder}/sriov_numvfs`)),
    autoprobe: parseBoolean(await sysfs.text(`${folder}/sriov_drivers_autoprobe`)),
  };
}

/** drivers/pci/iov.c, pci_iov_add_virtfn(): a link `virtfnN` for each, from 0. */
async function listVfs(sysfs: Sysfs, folder: string): Promise<string[]> {
  const found: [number, string][] = [];
  for (const name of await sysfs.names(folder)) {
    const number = /^virtfn(0|[1-9][0-9]{0,4})$/.exec(name)?.[1];
    if (number === undefined) continue;
    const bdf = await sysfs.linkName(`${folder}/${name}`);
    if (bdf !== undefined && isBdf(bdf)) found.push([Number(number), bdf]);
  }
  return found.sort(([a], [b]) => a - b).map(([, bdf]) => bdf);
}

/**
 * PCIe 9.3.3.5: TotalVFs and NumVFs have 16 bits. drivers/pci/pci-sysfs.c, sriov_numvfs_show(): `%u\n`;
 * what is no whole line is not the kernel's answer.
 */
function parseCount(text: string | undefined): number | null {
  return text !== undefined && /^(0|[1-9][0-9]{0,4})\n$/.test(text) ? Number(text) : null;
}

/** sriov_drivers_autoprobe_show(): `%u\n` */
function parseBoolean(text: string | undefined): boolean | null {
  return text === '1\n' ? true : text === '0\n' ? false : null;
}

export function sriovJson({ totalVfs, numVfs, autoprobe, vfs }: SriovFacts): JsonObject {
  return { total_vfs: totalVfs, num_vfs: numVfs, drivers_autoprobe: autoprobe, vfs: [...vfs] };
}
