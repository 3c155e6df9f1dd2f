/** Advice to a vendor about a ceiling that is valid and still not what they want. */

import { MANIFEST_LIMITS } from '../limits.ts';
import type { Ceiling } from './ceiling.ts';
import { isWholePages, showWindow } from './windows.ts';

/** The page size of nearly every host; a fleet policy names the real one. */
const PAGE = 4096n;
const WIDE = 1n << 30n;

/** What is worth a second look, in sentences; an empty list when nothing is. */
export function lintCeiling(ceiling: Ceiling): string[] {
  const advice: string[] = [];
  for (const { index, window } of ceiling.bars) {
    if (isWholePages(window, PAGE)) continue;
    advice.push(
      `BAR ${index}, ${showWindow(window)}: not whole pages of 4096 bytes; of a memory BAR only the whole pages inside it can be granted`,
    );
  }
  if (ceiling.bars.length === 0 && ceiling.ports.length === 0) {
    advice.push('no BAR and no port windows: nothing can be granted');
  }
  if (ceiling.bars.length > MANIFEST_LIMITS.mmio) {
    advice.push(`${ceiling.bars.length} BAR windows: a grant holds 8 of memory and 8 of ports`);
  }
  if (ceiling.ports.length > 0) {
    advice.push(
      'absolute I/O ports: granted only where an I/O BAR covers them; claim the BAR instead',
    );
  }
  const { interrupts, dma } = ceiling;
  if (interrupts.kind !== 'none' && interrupts.perSecondBudget === 0) {
    advice.push('an interrupt budget of 0 a second: the first interrupt exceeds it');
  }
  if (interrupts.kind === 'intx') {
    advice.push('INTx is a shared pin: prefer MSI or MSI-X where the device has them');
  }
  if (dma.totalBytes > WIDE) advice.push('more than 1 GiB of DMA: fleets will narrow it');
  for (const { window } of dma.windows ?? []) {
    if (isWholePages(window, PAGE)) continue;
    advice.push(`the DMA window ${showWindow(window)} is not whole pages of 4096 bytes`);
  }
  for (const [i, device] of ceiling.devices.entries()) {
    if (device.class !== undefined || device.subsystemVendor !== undefined) continue;
    advice.push(
      `devices[${i}] names neither class nor subsystem: every board with this chip matches`,
    );
  }
  return advice;
}
