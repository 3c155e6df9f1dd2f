import { VFIO_DRIVER } from '../binding-state.ts';
import type { Gate, Objection } from './gate.ts';

/**
 * The host's driver of the physical function switches virtual ones on and serves them. Whoever else has
 * that function has all of them: also another process, through VFIO.
 */
export const pfNoDriver: Gate = {
  reason: 'physical-function-driver',
  rule: 'Documentation/PCI/pci-iov-howto.rst: the driver of the physical function',
  code: 'E_PF_NO_DRIVER',
  check: ({ parent }) =>
    parent?.name === undefined ? undefined : withoutDriver(parent.path, parent.driver),
};

export function withoutDriver(path: string, driver: string | null): Objection | undefined {
  if (driver !== null && driver !== VFIO_DRIVER) return undefined;
  return {
    what:
      driver === null
        ? `the physical function ${path} has no driver`
        : `the physical function ${path} is given to user space by ${driver}`,
    remedy: `bind the host's driver to ${path}`,
  };
}
