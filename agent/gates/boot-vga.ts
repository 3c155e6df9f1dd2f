import type { Gate } from './gate.ts';

/** The console of the machine, and the framebuffer that firmware still writes to. */
export const bootVga: Gate = {
  reason: 'boot-vga',
  rule: 'Documentation/ABI/testing/sysfs-bus-pci: boot_vga',
  code: 'E_BOOT_DISPLAY',
  check: ({ device }) =>
    device.bootVga
      ? {
          what: 'it is the display that the machine started with',
          remedy: 'make another display adapter the first one in firmware',
        }
      : undefined,
};
