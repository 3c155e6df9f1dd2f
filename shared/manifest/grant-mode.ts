/**
 * How a driver reaches its device's registers: through a broker, an access at a time, or by the
 * device's own descriptor, under a filter. The second is asked for by the vendor, as a feature of the
 * ABI, and allowed by the fleet, per namespace and device; neither alone is enough. A filter fences
 * whole BARs, so that nothing of a device may be left out of the grant.
 */

import { IronError } from '../errors.ts';
import { ABI_FEATURE } from './abi.ts';
import type { Ceiling } from './ceiling.ts';
import type { DeviceFacts } from './device.ts';
import type { GrantedRange, GrantedRegisters } from './grant-registers.ts';
import type { PolicyEntry } from './policy.ts';
import type { RunMode } from './policy-run.ts';
import { showWindow, subtractAll, type Window, windowAt, windowLength } from './windows.ts';

/**
 * `direct` when vendor and fleet say so. `E_POLICY` when the driver cannot do without what the fleet
 * does not give, `E_AGENT_REFUSED` when a BAR that the device has is not granted whole and writable.
 */
export function grantMode(
  ceiling: Ceiling,
  { run, namespace }: PolicyEntry,
  { mmio, ports }: GrantedRegisters,
  device: DeviceFacts,
): RunMode {
  if ((ceiling.abi.features & ABI_FEATURE.direct) === 0n) return 'brokered';
  if (run?.mode !== 'direct')
    throw new IronError('E_POLICY', 'the driver asks for the descriptor of its device', {
      why: `the fleet policy lets drivers of ${namespace} reach this device through a broker alone`,
      hint: 'nothing was changed; take a version for brokers, or let the operators of the fleet set run.mode to direct',
      context: { device: device.path },
    });
  requireWholeBars([...mmio, ...ports], device.bars);
  return 'direct';
}

/** `E_AGENT_REFUSED` unless every BAR with a size is granted whole, to be read and written. */
export function requireWholeBars(
  granted: readonly Pick<GrantedRange, 'bar' | 'offset' | 'window' | 'access'>[],
  bars: readonly { readonly index: number; readonly size: bigint }[],
): void {
  for (const { index, size } of bars) {
    if (size === 0n) continue;
    const windows = granted
      .filter(({ bar, access }) => bar === index && access === 'read-write')
      .map(({ offset, window }): Window => windowAt(offset, windowLength(window)));
    const [left] = subtractAll([windowAt(0n, size)], windows);
    if (left === undefined) continue;
    throw new IronError('E_AGENT_REFUSED', `BAR ${index} is not granted whole and writable`, {
      why: `${showWindow(left)} of it is not, and a driver with the device's descriptor reaches whole BARs`,
      hint: 'nothing was changed; let ceiling and fleet policy name all of every BAR, or take a version for brokers',
      context: { reason: 'direct-bars', bar: String(index) },
    });
  }
}
