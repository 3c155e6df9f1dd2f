/**
 * What each virtual function of a physical one gets: of what the fleet lets all of them have an equal
 * share, and no more than the vendor's ceiling has for one. The shares together are never more than the
 * whole, whatever the numbers: what does not divide is given to nobody. Pure.
 */

import { IronError } from '../errors.ts';
import { leastBudget, type VirtualFunctionClaim } from './ceiling-vf.ts';
import type { VfBudget } from './cut.ts';
import type { PolicyEntry } from './policy.ts';

export interface VfRequest {
  /** Of the driver for the physical function; undefined when its ceiling manages none. */
  readonly claim: VirtualFunctionClaim | undefined;
  /** The entry of the policy that decides over driver and physical function. */
  readonly entry: Pick<PolicyEntry, 'namespace' | 'virtualFunctions'>;
  readonly pageSize: bigint;
  readonly count: number;
  /** PCIe 9.3.3.5, TotalVFs: as many as the device has. */
  readonly totalVfs: number;
}

/**
 * The budget of each of `count` virtual functions. `E_AGENT_REFUSED` when the ceiling manages none,
 * `E_POLICY` when the policy allows none, `E_VF_COUNT` for more than device, ceiling or policy allow,
 * `E_GRANT_EMPTY` when a share holds no page of memory or of registers.
 */
export function allotVfs(request: VfRequest): VfBudget {
  const { claim, entry, pageSize, count, totalVfs } = request;
  if (claim === undefined)
    throw new IronError('E_AGENT_REFUSED', 'the driver manages no virtual functions', {
      why: 'its ceiling has no virtual_functions',
      hint: 'nothing was changed; name the driver whose ceiling has them',
      context: { reason: 'no-virtual-functions' },
    });
  const rules = entry.virtualFunctions;
  if (rules === null)
    throw new IronError('E_POLICY', 'the fleet policy lets this device have no virtual functions', {
      why: `the entry for ${entry.namespace} has no virtual_functions`,
      hint: 'nothing was changed; the operators of the fleet can add them to the policy',
    });
  requireCount(count, [
    ['the device has', totalVfs],
    ['the ceiling allows', claim.countMax],
    ['the fleet policy allows', rules.countMax],
  ]);
  const each = leastBudget(claim, shareOf(rules.total, count));
  const budget = {
    dmaBytes: each.dmaBytes - (each.dmaBytes % pageSize),
    mmioBytes: each.mmioBytes - (each.mmioBytes % pageSize),
    interruptsPerSecond: each.interruptsPerSecond,
  };
  // As in IronShim-rs (`VirtualFunctionBinding`): without DMA or without registers it is none.
  if (budget.dmaBytes === 0n || budget.mmioBytes === 0n)
    throw new IronError('E_GRANT_EMPTY', `nothing is left for each of ${count} virtual functions`, {
      why: `a share is ${each.dmaBytes} bytes of DMA and ${each.mmioBytes} of registers, and a page has ${pageSize}`,
      hint: 'nothing was changed; ask for fewer, or let the fleet policy give more to all of them',
    });
  return budget;
}

/** An equal share, rounded down. */
export function shareOf(total: VfBudget, count: number): VfBudget {
  return {
    dmaBytes: total.dmaBytes / BigInt(count),
    mmioBytes: total.mmioBytes / BigInt(count),
    interruptsPerSecond: Math.floor(total.interruptsPerSecond / count),
  };
}

function requireCount(count: number, limits: readonly (readonly [string, number])[]): void {
  if (!Number.isInteger(count) || count < 1)
    throw new IronError('E_USAGE', `no number of virtual functions: ${count}`);
  for (const [who, most] of limits) {
    if (count <= most) continue;
    throw new IronError('E_VF_COUNT', `${count} virtual functions, and ${who} ${most}`, {
      hint: `nothing was changed; ask for ${most} at most`,
      context: { count, most },
    });
  }
}
