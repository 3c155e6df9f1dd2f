/**
 * Windows of a granted manifest that were taken away again. IronShim-rs writes the revocation into
 * the manifest, whose hash then changes, so that a revoked manifest fails its own signature. Here
 * the signed bytes stay as they are, and an overlay says what of them holds no longer.
 */

import { coreError } from './core-errors.ts';
import type { ResourceManifest } from './resource-manifest.ts';

export type WindowKind = 'mmio' | 'ports';

export interface RevocationOverlay {
  /** SHA-256 of the manifest that it is about: it says nothing about any other. */
  readonly manifestSha256: string;
  /** Indexes of revoked windows, ascending. */
  readonly mmio: readonly number[];
  readonly ports: readonly number[];
}

export function noRevocations(manifestSha256: string): RevocationOverlay {
  return { manifestSha256, mmio: [], ports: [] };
}

/** `E_OUT_OF_GRANT` (`ResourceNotGranted`) for a window that was never granted. */
export function revoke(
  overlay: RevocationOverlay,
  manifest: ResourceManifest,
  kind: WindowKind,
  index: number,
): RevocationOverlay {
  requireWindow(manifest, kind, index);
  const indexes = new Set([...overlay[kind], index]);
  return { ...overlay, [kind]: [...indexes].sort((a, b) => a - b) };
}

/** Takes a revocation back. */
export function regrant(
  overlay: RevocationOverlay,
  manifest: ResourceManifest,
  kind: WindowKind,
  index: number,
): RevocationOverlay {
  requireWindow(manifest, kind, index);
  return { ...overlay, [kind]: overlay[kind].filter((revoked) => revoked !== index) };
}

/**
 * Throws unless window `index` may be used: `ResourceNotGranted` when the manifest has none such,
 * `Revoked` when it was taken away by the manifest itself or by the overlay, `SignatureInvalid`
 * when the overlay is about another manifest.
 */
export function checkGranted(
  overlay: RevocationOverlay,
  manifest: ResourceManifest,
  manifestSha256: string,
  kind: WindowKind,
  index: number,
): void {
  if (overlay.manifestSha256 !== manifestSha256)
    throw coreError('SignatureInvalid', 'these revocations are about another manifest');
  requireWindow(manifest, kind, index);
  if (manifest[kind][index]?.revoked === true || overlay[kind].includes(index))
    throw coreError('Revoked', `${kind}[${index}] was revoked`);
}

function requireWindow(manifest: ResourceManifest, kind: WindowKind, index: number): void {
  if (!Number.isInteger(index) || index < 0 || index >= manifest[kind].length)
    throw coreError('ResourceNotGranted', `${kind}[${index}] was never granted`);
}
