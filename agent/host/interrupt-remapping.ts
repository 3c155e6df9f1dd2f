/** Whether interrupts of devices go through a table of the IOMMU, as far as sysfs shows. */

import { AGENT_LIMITS } from '../../shared/limits.ts';
import type { Sysfs } from './sysfs.ts';

const IO_APIC = /^(IR-)?IO-APIC$/;

/**
 * arch/x86/kernel/apic/io_apic.c calls its chip `IR-IO-APIC` when remapping is on and `IO-APIC` when
 * it is not; it is on for all of a machine or for nothing of it. Null where there is no such chip:
 * other architectures, and kernels that do not show interrupts. There the kernel's own word must do:
 * VFIO attaches nothing whose interrupts are not kept apart, unless `allow_unsafe_interrupts`.
 */
export async function readInterruptRemapping(sysfs: Sysfs): Promise<boolean | null> {
  const numbers = (await sysfs.names('kernel/irq'))
    .filter((name) => /^(0|[1-9][0-9]{0,8})$/.test(name))
    .sort((a, b) => Number(a) - Number(b));
  // Those of the IO-APIC have the lowest numbers.
  for (const number of numbers.slice(0, AGENT_LIMITS.interrupts)) {
    const chip = (await sysfs.text(`kernel/irq/${number}/chip_name`))?.trim() ?? '';
    if (IO_APIC.test(chip)) return chip.startsWith('IR-');
  }
  return null;
}
