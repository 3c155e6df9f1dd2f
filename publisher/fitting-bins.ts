/**
 * How many hash bins suit a role of a given size.
 *
 * Whoever publishes an artifact, or fetches one, moves the snapshot, which names every bin, and the
 * bins of the artifact's paths. More bins are a longer snapshot for everybody; fewer are longer bins.
 * The sum is least where both grow alike: the number goes with the square root of the targets.
 */

import { BIN_LIMITS } from '../shared/limits.ts';

/** An artifact, its three sidecars and the product's index, each in the bin of its own hash. */
const PATHS_OF_AN_ARTIFACT = 5;
/** What the snapshot says of a bin: its name and version. As measured, like the two below. */
const BYTES_OF_A_NAME = 73;
/** What a role file says of a target: path, length, SHA-256. */
const BYTES_OF_A_TARGET = 200;
/** What a role file says besides its targets: version, expiry, a signature. */
const BYTES_OF_A_FRAME = 500;

/**
 * The length of the bins' numbers with which one artifact moves least in a role of `targets` targets:
 * n for 2^n bins (TAP 15), 0 for one file.
 *
 * @param targets how many the role lists, or is to list: a whole number from 0
 */
export function fittingBits(targets: number): number {
  let fitting = 0;
  for (let bits = 1; bits <= BIN_LIMITS.bits; bits++)
    if (bytesMoved(targets, bits) < bytesMoved(targets, fitting)) fitting = bits;
  return fitting;
}

function bytesMoved(targets: number, bits: number): number {
  const bins = 2 ** bits;
  const names = bits === 0 ? 0 : bins * BYTES_OF_A_NAME;
  const files = Math.min(bins, PATHS_OF_AN_ARTIFACT);
  return names + files * (BYTES_OF_A_FRAME + (targets / bins) * BYTES_OF_A_TARGET);
}
