/**
 * How a driver's device reaches memory: through windows that the agent maps (the usual way), or in
 * the address space of a process (shared virtual addressing), where the device walks that process's
 * page tables under a PASID. The second needs hardware that answers for it.
 */

import type { Node } from '../json/decode.ts';
import { contradiction } from './contradiction.ts';
import { coreError } from './core-errors.ts';

export const ISOLATION_MODES = ['mapped', 'shared-virtual-addressing'] as const;
export type IsolationMode = (typeof ISOLATION_MODES)[number];

export interface IsolationClaim {
  readonly mode: IsolationMode;
  /** Bits of the PASIDs that the device must be able to name; 0 when it names none. */
  readonly pasidBits: number;
}

export const MAPPED: IsolationClaim = { mode: 'mapped', pasidBits: 0 };

/** What device and host have: translation services, page requests, PASIDs, and the kernel's part. */
export interface IsolationCapabilities {
  readonly ats: boolean;
  readonly pri: boolean;
  readonly pasid: boolean;
  readonly sva: boolean;
}

/** Reads `{mode, pasid_bits?}`. PCIe 7.8.8.2: a PASID has at most 20 bits. */
export function parseIsolation(node: Node): IsolationClaim {
  node.only('mode', 'pasid_bits');
  const mode = node.get('mode').oneOf(...ISOLATION_MODES);
  const pasidBits = node.maybe('pasid_bits')?.integer(0, 20) ?? 0;
  if ((mode === 'mapped') !== (pasidBits === 0))
    throw contradiction(node, 'PASIDs and shared virtual addressing go together');
  return { mode, pasidBits };
}

/**
 * IronShim-rs `IsolationBinding::validate`: shared virtual addressing needs all four capabilities,
 * and a driver that asks for it cannot run without. Throws `E_AGENT_REFUSED`.
 */
export function checkIsolation(
  claim: IsolationClaim,
  found: IsolationCapabilities | undefined,
): void {
  if (claim.mode === 'mapped') return;
  const missing = (['ats', 'pri', 'pasid', 'sva'] as const).filter((cap) => found?.[cap] !== true);
  if (missing.length === 0) return;
  throw coreError('Unsupported', 'the driver asks for shared virtual addressing', {
    why: `device and host do not offer ${missing.join(', ')}`,
    hint: 'nothing was changed; install a version of the driver that uses mapped windows',
  });
}
