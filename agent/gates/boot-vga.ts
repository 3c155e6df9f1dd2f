import type { Gate } from './gate.ts';

/** The console of the machine, and the framebuffer that firmware still writes to. */
export const bootVga: Gate = {
  reason: 'boot-vga',
  rule: 'Documentation/ABI/testing/sysfs-bus-pci: boot_vga',
  code: 'E_BOOT_DISPLAY',
  check({ device: { bootVga } }) {
    if (bootVga === false) return undefined;
    return {
      what:
        bootVga === true
          ? 'it is the display that the machine started with'
          : 'whether it is the display that the machine started with is not to be told',
      remedy: 'make another display adapter the first one in firmware',
    };
  },
};
