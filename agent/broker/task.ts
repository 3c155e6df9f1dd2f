/** What a broker serves: a grant's registers as the device's descriptor has them. Pure. */

import { IronError } from '../../shared/errors.ts';
import type { Grant } from '../../shared/manifest/grant.ts';
import { contains, subtractAll, windowAt } from '../../shared/manifest/windows.ts';
import type { Reserved } from './msix.ts';
import type { BrokerTask } from './program.ts';

/** One region of a device, as a range of its descriptor. */
export interface RegionPlace {
  readonly index: number;
  readonly offset: bigint;
  readonly size: bigint;
}

/** vfio_pci_core.h: VFIO_PCI_OFFSET_SHIFT. The broker's filter tells regions apart by it. */
export const REGION_SHIFT = 40n;
const LAST_BAR = 5;

/**
 * The task for a grant. `E_AGENT_REFUSED` when the device has not the registers that were granted,
 * or the kernel keeps them where the broker's filter would not find them.
 */
export function brokerTask(
  { mmio, ports }: Pick<Grant, 'mmio' | 'ports'>,
  regions: readonly RegionPlace[],
  reserved: readonly Reserved[],
  rate: Pick<BrokerTask, 'perSecond' | 'burst'>,
): BrokerTask {
  const bases = new Map<number, string>();
  const windows = [...mmio, ...ports].flatMap(({ bar, offset, window, access }) => {
    const granted = windowAt(offset, window.end - window.start);
    const region = regions.find(({ index }) => index === bar);
    if (bar > LAST_BAR || region === undefined || region.size === 0n)
      throw refusal(`BAR ${bar} was granted, and VFIO offers no such region`);
    if (!contains(windowAt(0n, region.size), granted))
      throw refusal(`BAR ${bar} has ${region.size} bytes, and more was granted`);
    if (region.offset !== BigInt(bar) << REGION_SHIFT)
      throw refusal(`BAR ${bar} is at ${region.offset} of the device's descriptor`);
    bases.set(bar, hex(region.offset));
    const holes = reserved.filter((one) => one.region === bar).map((one) => one.window);
    return subtractAll([granted], holes).map(({ start, end }) => ({
      ...{ region: bar, start: hex(start), end: hex(end), access },
    }));
  });
  return { windows, bases: [...bases], ...rate };
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}

function refusal(why: string): IronError {
  return new IronError('E_AGENT_REFUSED', 'the registers of the grant cannot be served', {
    why,
    hint: 'bind it again, so that the grant is computed anew',
    context: { reason: 'broker-regions' },
  });
}
