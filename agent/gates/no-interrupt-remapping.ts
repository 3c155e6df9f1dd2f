import { quoted } from '../../shared/tuf/names.ts';
import type { Gate } from './gate.ts';

/**
 * An interrupt of a device is a write, and without remapping nothing looks where it goes. Where sysfs
 * shows nothing of it the kernel decides when VFIO attaches the device.
 */
export const noInterruptRemapping: Gate = {
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

/** `nosid` remaps, and believes whoever sends it: a device then raises the interrupts of others. */
const UNSAFE = ['off', 'nosid'];

function turnedOff(options: readonly string[]): string | undefined {
  return options.find((option) => {
    const [name, values = ''] = option.split('=', 2);
    if (name === 'nointremap') return true;
    return name === 'intremap' && values.split(',').some((value) => UNSAFE.includes(value));
  });
}
