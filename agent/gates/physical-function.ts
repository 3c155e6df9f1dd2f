import type { Gate } from './gate.ts';

/** Whoever has the physical function has all of its virtual ones, and those who use them. */
export const physicalFunction: Gate = {
  reason: 'physical-function',
  rule: 'PCIe 9.2.1; Documentation/PCI/pci-iov-howto.rst',
  code: 'E_PHYSICAL_FUNCTION',
  check({ device: { sriov } }) {
    // A number that cannot be read is no proof that there are none.
    if (sriov === null || sriov.numVfs === 0) return undefined;
    const count = sriov.numVfs ?? 'an unknown number of';
    return {
      what: `it is the physical function of ${count} virtual functions that are switched on`,
      remedy:
        'name one of its virtual functions, or remove them (`ironport-agent vfs remove`, or 0 into sriov_numvfs)',
    };
  },
};
