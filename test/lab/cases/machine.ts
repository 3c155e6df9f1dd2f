/** The machine is what the other cases take it for. */

import { equal, ok } from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import type { LabCase } from './case.ts';

export const machine: readonly LabCase[] = [
  {
    name: 'machine',
    title: 'the guest has an IOMMU, both edu devices in groups of their own, and the VFIO nodes',
    standsAlone: true,
    async run({ kernel, say, monitor }) {
      const groupOf = (bdf: string): string =>
        basename(readlinkSync(`/sys/bus/pci/devices/${bdf}/iommu_group`));
      for (const bdf of readdirSync('/sys/bus/pci/devices')) {
        const group = existsSync(`/sys/bus/pci/devices/${bdf}/iommu_group`) ? groupOf(bdf) : '-';
        const id = ['vendor', 'device', 'class'].map((name) =>
          readFileSync(`/sys/bus/pci/devices/${bdf}/${name}`, 'utf8').trim(),
        );
        say(`${bdf} ${id.join(' ')} group ${group}`);
      }
      ok(groupOf('0000:00:05.0') !== groupOf('0000:00:06.0'));
      ok(existsSync('/dev/vfio/vfio'), 'the container node is there');
      equal(existsSync('/dev/iommu'), kernel === 'lab', 'iommufd is there on the lab kernel alone');
      equal(
        readFileSync(`/sys/kernel/iommu_groups/${groupOf('0000:00:05.0')}/type`, 'utf8').startsWith(
          'DMA',
        ),
        true,
      );
      const answer = await monitor('info version');
      say(`monitor: ${answer.trim()}`);
      ok(/^\d+\./.test(answer));
    },
  },
];
