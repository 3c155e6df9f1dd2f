import type { HostGate } from './gate.ts';

/** A probe without the driver would leave the device with nobody. */
export const noVfioDriver: HostGate = {
  reason: 'no-vfio-driver',
  rule: 'Documentation/driver-api/vfio.rst: vfio-pci',
  code: 'E_NO_VFIO_DRIVER',
  check: ({ host }) =>
    host.hasVfioDriver
      ? undefined
      : { what: 'the kernel has no driver vfio-pci loaded', remedy: 'modprobe vfio-pci' },
};
