/** What is watched about a device that is held, and the one table of what follows from it. */

import type { Containment, Severity } from '../../shared/manifest/containment.ts';
import { containmentFor } from '../../shared/manifest/containment.ts';
import type { Level } from '../../shared/manifest/quarantine.ts';

/** Something that was seen. `what` is in words, for people and the audit log. */
export type WatchEvent =
  /** The ERR eventfd of VFIO: the kernel told the device's driver of an uncorrectable error. */
  | { readonly kind: 'device-error'; readonly what: string }
  /** Counters of AER went up, at the device or a port above it. */
  | { readonly kind: 'aer'; readonly severity: Severity; readonly what: string }
  /** A port above contains the device (PCIe 6.2.11). */
  | { readonly kind: 'dpc'; readonly what: string }
  /** The IOMMU refused something that the device wanted. */
  | { readonly kind: 'iommu-fault'; readonly what: string }
  /** Records of the kernel were lost or suppressed: there may have been faults among them. */
  | { readonly kind: 'records-lost'; readonly what: string }
  /** Configuration space reads as ones: the device is gone. */
  | { readonly kind: 'lost'; readonly what: string }
  | { readonly kind: 'interrupt-storm'; readonly what: string }
  | { readonly kind: 'crash-loop'; readonly what: string }
  /** Memory or descriptors of the driver, or of its broker, grow and do not come back. */
  | { readonly kind: 'leak'; readonly what: string }
  /** They are near what they are bounded by, or met it: the bound holds, and what meets it may end. */
  | { readonly kind: 'near-limit'; readonly what: string }
  /** The process that holds the device leaks: that is no doing of the driver's. */
  | { readonly kind: 'own-leak'; readonly what: string }
  | { readonly kind: 'revoked'; readonly what: string }
  /** Evidence that will expire soon, or did: nothing that runs is stopped for it. */
  | { readonly kind: 'evidence'; readonly what: string };

export type WatchKind = WatchEvent['kind'];

/**
 * The table. What the core decides about errors of PCI Express it decides (IronShim-rs,
 * `AerSeverity::containment`); the rest follows it. A fault of the IOMMU is the device reaching for what it was
 * not granted. What was not seen is no ground to stop anything: confinement never depends on it.
 */
const DECISIONS: Readonly<Record<Exclude<WatchKind, 'aer'>, Containment>> = {
  'device-error': containmentFor('non-fatal'),
  dpc: containmentFor('dpc-containment'),
  'iommu-fault': 'quarantine',
  'records-lost': 'observe',
  lost: 'reset-required',
  'interrupt-storm': 'quarantine',
  'crash-loop': 'quarantine',
  leak: 'quarantine',
  'near-limit': 'observe',
  'own-leak': 'observe',
  revoked: 'quarantine',
  evidence: 'observe',
};

export function decide(event: WatchEvent): Containment {
  return event.kind === 'aer' ? containmentFor(event.severity) : DECISIONS[event.kind];
}

/** What is done: nothing but a line; or how far the device is taken out of service. */
export function actionFor(decision: Containment): Level | undefined {
  return decision === 'observe' ? undefined : 'hard';
}
