/** A host of fifteen devices as files: a bridge with two functions in one group, and twelve disks. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BRIDGE, EDU_DEVICE, type PlayedDevice } from '../../scripts/demo/kernel/devices.ts';
import { Tree } from '../../scripts/demo/kernel/tree.ts';

const DISKS = 12;
/** Of which none is an IO-APIC's: all of them are looked at. */
const INTERRUPTS = 24;

/** The two that share a group. */
export const TOGETHER = ['0000:00:05.0', '0000:00:05.1'];

/** The addresses, sorted. */
export const FULL_HOST: readonly string[] = [BRIDGE, ...endpoints()].map(({ bdf }) => bdf).sort();

function endpoints(): PlayedDevice[] {
  const [first, second] = TOGETHER.map((bdf) => ({ ...EDU_DEVICE, bdf, driver: null }));
  const disks = Array.from({ length: DISKS }, (_, i): PlayedDevice => {
    const number = (0x10 + i).toString(16);
    const bdf = `0000:00:${number}.0`;
    return { ...EDU_DEVICE, bdf, class: 0x010802, device: 0x5845, group: 20 + i, driver: null };
  });
  return [first as PlayedDevice, second as PlayedDevice, ...disks];
}

/** Writes it as a tree like sysfs into `root`. */
export function buildFullHost(root: string): void {
  mkdirSync(root, { recursive: true });
  const tree = new Tree(root);
  tree.build([BRIDGE, ...endpoints()]);
  const at = (path: string, text: string): void => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  for (let number = 0; number < INTERRUPTS; number++)
    at(`kernel/irq/${number}/chip_name`, 'PCI-MSI\n');
  for (const bdf of FULL_HOST) {
    const folder = `devices/pci0000:00/${bdf}`;
    at(`${folder}/reset_method`, 'flr bus\n');
    at(`${folder}/power/control`, 'on\n');
    at(`${folder}/msi_irqs/30`, 'msi\n');
    if (!bdf.startsWith('0000:00:1')) continue;
    const disk = `${folder}/nvme/nvme0/nvme${bdf.slice(8, 10)}n1`;
    at(`${disk}/dev`, `259:${Number.parseInt(bdf.slice(8, 10), 16)}\n`);
    mkdirSync(join(root, disk, 'holders'), { recursive: true });
  }
}
