/**
 * The driver ABI: what a driver was built for, and what a runtime speaks. The rules are those of
 * IronShim-rs (`validate_abi`, `validate_abi_range`, `validate_layout`): the version lies in the
 * range, ends included; every feature that the driver needs is there; the descriptor has the size
 * and alignment that the driver was compiled with.
 */

import type { Node } from '../json/decode.ts';
import { contradiction } from './contradiction.ts';
import { coreError } from './core-errors.ts';
import { hexU64, readPowerOfTwo, readU64 } from './numbers.ts';

/** Size and alignment of the ABI's descriptor, in bytes. */
export interface AbiLayout {
  readonly sizeBytes: bigint;
  readonly alignmentBytes: bigint;
}

/** What a driver says of itself in its ceiling. */
export interface AbiClaim {
  /** Versions that the driver speaks, both included. */
  readonly min: number;
  readonly max: number;
  /** A bit for each feature that the driver cannot do without. */
  readonly features: bigint;
  /** Absent: the driver does not depend on it (it is no compiled program). */
  readonly layout?: AbiLayout;
}

/** What a runtime offers. */
export interface RuntimeAbi {
  readonly version: number;
  readonly features: bigint;
  /** Absent: it shares no structure in memory with its drivers. */
  readonly layout?: AbiLayout;
}

/** What the bits of `features` mean. */
export const ABI_FEATURE = {
  /** The driver has the descriptor of its device, in place of a broker. */
  direct: 1n,
} as const;

/** The runtime of this agent: version 1, descriptors instead of structures. */
export const RUNTIME_ABI: RuntimeAbi = { version: 1, features: ABI_FEATURE.direct };

/** Reads `{min, max, features?, layout?: {size_bytes, alignment_bytes}}`. `E_SCHEMA`, `E_CEILING`. */
export function parseAbiClaim(node: Node): AbiClaim {
  node.only('min', 'max', 'features', 'layout');
  const min = node.get('min').integer(1, 0xffff_ffff);
  const max = node.get('max').integer(1, 0xffff_ffff);
  if (max < min) throw contradiction(node, `version ${max} is below version ${min}`);
  const features = node.maybe('features');
  const layout = node.maybe('layout')?.only('size_bytes', 'alignment_bytes');
  return {
    min,
    max,
    features: features === undefined ? 0n : readU64(features),
    ...(layout === undefined
      ? {}
      : {
          layout: {
            sizeBytes: readU64(layout.get('size_bytes'), 1n),
            alignmentBytes: readPowerOfTwo(layout.get('alignment_bytes')),
          },
        }),
  };
}

/** Throws `E_AGENT_REFUSED` when a driver with this claim cannot run on `runtime`. */
export function checkAbi(claim: AbiClaim, runtime: RuntimeAbi): void {
  if (runtime.version < claim.min || runtime.version > claim.max) {
    throw coreError(
      'InvalidState',
      `the driver speaks driver ABI ${claim.min} to ${claim.max}, and this runtime ${runtime.version}`,
      { hint: 'nothing was changed; install a version of the driver for this runtime' },
    );
  }
  const missing = claim.features & ~runtime.features;
  if (missing !== 0n) {
    throw coreError(
      'Unsupported',
      `the driver needs ABI features ${hexU64(missing)} that this runtime does not have`,
      { hint: 'nothing was changed; install a version of the driver for this runtime' },
    );
  }
  const { layout } = claim;
  if (layout === undefined) return;
  const offered = runtime.layout;
  if (layout.sizeBytes === offered?.sizeBytes && layout.alignmentBytes === offered.alignmentBytes) {
    return;
  }
  throw coreError(
    'InvalidAddress',
    `the driver was built for a descriptor of ${layout.sizeBytes} bytes at multiples of ${layout.alignmentBytes}`,
    {
      why:
        offered === undefined
          ? 'this runtime shares no structure with its drivers'
          : `this runtime's has ${offered.sizeBytes} bytes at multiples of ${offered.alignmentBytes}`,
      hint: 'nothing was changed; install a build of the driver for this runtime',
      code: 'E_AGENT_REFUSED',
    },
  );
}
