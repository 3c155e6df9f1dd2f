/**
 * Constraints on one piece of memory that a device is given, as IronShim-rs's `validate_constraints`
 * and `DmaScatterList` have them. Where IronShim-rs divides by an alignment of 0 or adds without a
 * check, this refuses.
 */

import type { DmaClaim } from './ceiling.ts';
import { coreError } from './core-errors.ts';
import { ADDRESS_SPACE, crosses, type Window, windowAt, windowLength } from './windows.ts';

export interface DmaConstraints {
  /** A power of two; 1 asks for nothing. */
  readonly alignmentBytes: bigint;
  /** Most pieces of one transfer. */
  readonly segmentsMax: number;
  /** A power of two that no piece crosses; null: any may. */
  readonly boundaryBytes: bigint | null;
  /** Most bytes of one piece. */
  readonly bytesMax: bigint;
}

/** What a ceiling or grant says of DMA, as constraints on its pieces. */
export function constraintsOf(
  claim: Pick<DmaClaim, 'alignmentBytes' | 'segmentsMax' | 'boundaryBytes' | 'totalBytes'> & {
    readonly windowsMax: number;
  },
): DmaConstraints {
  return {
    alignmentBytes: claim.alignmentBytes,
    segmentsMax: claim.segmentsMax ?? claim.windowsMax,
    boundaryBytes: claim.boundaryBytes ?? null,
    bytesMax: claim.totalBytes,
  };
}

/**
 * The piece of `bytes` bytes at `address`, when it keeps the constraints. Throws `E_OUT_OF_GRANT`
 * with `context.core`: `OutOfBounds` for too many bytes or a crossed boundary, `InvalidAddress` for
 * a start that is not aligned, an empty piece, and one that ends past the last address.
 */
export function dmaPiece(constraints: DmaConstraints, address: bigint, bytes: bigint): Window {
  if (bytes <= 0n || address < 0n || address + bytes > ADDRESS_SPACE)
    throw coreError('InvalidAddress', `${bytes} bytes at ${address} are no piece of memory`);
  if (bytes > constraints.bytesMax)
    throw coreError('OutOfBounds', `${bytes} bytes, and ${constraints.bytesMax} are allowed`);
  if (constraints.alignmentBytes <= 0n || address % constraints.alignmentBytes !== 0n)
    throw coreError('InvalidAddress', `it begins at no multiple of ${constraints.alignmentBytes}`);
  const piece = windowAt(address, bytes);
  if (constraints.boundaryBytes !== null && crosses(piece, constraints.boundaryBytes))
    throw coreError('OutOfBounds', `it crosses a multiple of ${constraints.boundaryBytes}`);
  return piece;
}

/** `pieces` and one more. `E_OUT_OF_GRANT` (`OutOfBounds`) when that is one too many. */
export function withPiece(
  constraints: DmaConstraints,
  pieces: readonly Window[],
  piece: Window,
): Window[] {
  if (pieces.length >= constraints.segmentsMax)
    throw coreError('OutOfBounds', `more than ${constraints.segmentsMax} pieces in one transfer`);
  return [...pieces, dmaPiece(constraints, piece.start, windowLength(piece))];
}

/**
 * Whether a device that was given `window` may reach `bytes` bytes from `address` on: IronShim-rs
 * `DmaIsolationWindow::contains`, both ends exact. Throws `E_OUT_OF_GRANT`: `InvalidAddress` for no
 * bytes, `OutOfBounds` for any byte outside.
 */
export function checkReach(window: Window, address: bigint, bytes: bigint): void {
  if (bytes <= 0n) throw coreError('InvalidAddress', 'no bytes are no access');
  if (address < window.start || address + bytes > window.end)
    throw coreError('OutOfBounds', `${bytes} bytes at ${address} are not inside the window`);
}
