/** What a driver with its device's descriptor may reach: a grant's BARs as the descriptor has them. Pure. */

import { IronError } from '../../shared/errors.ts';
import type { Grant } from '../../shared/manifest/grant.ts';
import { requireWholeBars } from '../../shared/manifest/grant-mode.ts';
import { REGION_SHIFT, type RegionPlace } from '../broker/task.ts';
import type { DirectWindow } from '../handed.ts';

/**
 * The windows for a grant; `regions` are all BARs that VFIO offers. `E_AGENT_REFUSED` when one of them
 * was not granted whole and writable, or the kernel keeps it where it was not looked for.
 */
export function directWindows(
  { mmio, ports }: Pick<Grant, 'mmio' | 'ports'>,
  regions: readonly RegionPlace[],
): DirectWindow[] {
  requireWholeBars([...mmio, ...ports], regions);
  return regions
    .filter(({ size }) => size > 0n)
    .map(({ index, offset, size }) => {
      if (offset !== BigInt(index) << REGION_SHIFT)
        throw new IronError('E_AGENT_REFUSED', 'the BARs of the grant cannot be handed over', {
          why: `BAR ${index} is at ${offset} of the device's descriptor`,
          hint: 'nothing was changed; take a version of the driver for brokers',
          context: { reason: 'direct-regions' },
        });
      return { bar: index, offset, size };
    });
}
