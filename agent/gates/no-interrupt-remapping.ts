import { quoted } from '../../shared/tuf/names.ts';
import type { HostGate } from './gate.ts';

/**
 * An interrupt of a device is a write, and without remapping nothing looks where it goes. Where sysfs
 * shows nothing of it the kernel decides when VFIO attaches the device.
 */
export const noInterruptRemapping: HostGate = {
  reason: 'no-interrupt-remapping',
  rule: 'arch/x86/kernel/apic/io_apic.c: IR-IO-APIC; kernel-parameters: intremap',
  code: 'E_NO_INTERRUPT_REMAPPING',
  check({ host }) {
    const option = turnedOff(host.kernelOptions);
    if (option === undefined && host.interruptRemapping !== false) return undefined;
    return {
      what:
        option === undefined
          ? 'interrupts of this host are not remapped: a device can raise any of them by a write'
          : `the kernel was started with ${quoted(option)}: interrupts of devices are not kept apart`,
      remedy:
        'enable interrupt remapping in firmware, and start the kernel without intremap=off, intremap=nosid and nointremap',
    };
  },
};

/**
 * The option that made it unsafe. drivers/iommu/irq_remapping.c, setup_nointremap() and
 * setup_irqremap(): a word need only begin so; of `on` and `off` the last one counts. `nosid` remaps,
 * and believes whoever sends it: a device then raises the interrupts of others. Nothing takes it back.
 */
function turnedOff(options: readonly string[]): string | undefined {
  let off: string | undefined;
  let believing: string | undefined;
  for (const option of options) {
    const [name = ''] = option.split('=', 1);
    if (name === 'nointremap') off = option;
    if (name !== 'intremap') continue;
    for (const word of option.slice(name.length + 1).split(',')) {
      if (word.startsWith('on')) off = undefined;
      else if (word.startsWith('off')) off = option;
      else if (word.startsWith('nosid')) believing = option;
    }
  }
  return off ?? believing;
}
