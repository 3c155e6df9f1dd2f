/** What is watched about a device that is held, and the one table of what follows from it. */

import type { Containment, Severity } from '../../shared/manifest/containment.ts';
import { containmentFor } from '../../shared/manifest/containment.ts';
import { LEVELS, type Level } from '../../shared/manifest/quarantine.ts';

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
  /** And still does after its reset, with the device in the kernel's tree. */
  | { readonly kind: 'unanswering'; readonly what: string }
  /** The REQ eventfd of VFIO: the kernel wants the device back. */
  | { readonly kind: 'requested'; readonly what: string }
  /** The machine was suspended while the device was held. */
  | { readonly kind: 'slept'; readonly what: string }
  /** The driver ended, or its broker. */
  | { readonly kind: 'driver-exit'; readonly what: string }
  | { readonly kind: 'interrupt-storm'; readonly what: string }
  | { readonly kind: 'crash-loop'; readonly what: string }
  /** Memory or descriptors of the driver, or of its broker, grow and do not come back. */
  | { readonly kind: 'leak'; readonly what: string }
  /** They are near what they are bounded by, or met it: the bound holds, and what meets it may end. */
  | { readonly kind: 'near-limit'; readonly what: string }
  /** The kernel ended the driver, or its broker, because there was no memory for it. */
  | { readonly kind: 'out-of-memory'; readonly what: string }
  /** The process that holds the device leaks: that is no doing of the driver's. */
  | { readonly kind: 'own-leak'; readonly what: string }
  | { readonly kind: 'revoked'; readonly what: string }
  /** Evidence that will expire soon, or did: nothing that runs is stopped for it. */
  | { readonly kind: 'evidence'; readonly what: string };

/** A row of the table: errors that AER counts have one for each severity. */
export type Row = Exclude<WatchEvent['kind'], 'aer'> | `aer ${Severity}`;

export interface Decided {
  readonly decision: Containment;
  /**
   * How far the device is taken out of service; none for what is observed, and where it is let go of: driver
   * and device are stopped, the device is reset, bound still, and free to be held again.
   */
  readonly level: Level | undefined;
}

const OBSERVE: Decided = { decision: 'observe', level: undefined };
const LET_GO: Decided = { decision: 'reset-required', level: undefined };
const to = (decision: Containment, level: Level): Decided => ({ decision, level });
const byCore = (severity: Severity): Decided => {
  const decision = containmentFor(severity);
  return decision === 'observe' ? OBSERVE : to(decision, 'hard');
};

/**
 * The table. What the core decides about errors of PCI Express it decides (IronShim-rs,
 * `AerSeverity::containment`); the rest follows it. What was not seen is no ground to stop anything:
 * confinement never depends on it.
 *
 * `soft` is for a program that takes too much of something that is bounded: stopping it is all that is
 * needed, and what it was at is there to be looked at. `hard` is for a device that is in a state, or was
 * told things, for which nobody answers, which a reset ends; for a program that must not be kept, and for
 * one that is gone. `tomb` is for a device that no reset brings back.
 */
export const DECISIONS: Readonly<Record<Row, Decided>> = {
  'device-error': byCore('non-fatal'),
  'aer correctable': byCore('correctable'),
  'aer non-fatal': byCore('non-fatal'),
  'aer fatal': byCore('fatal'),
  'aer dpc-containment': byCore('dpc-containment'),
  dpc: byCore('dpc-containment'),
  // The device reached for what it was not granted.
  'iommu-fault': to('quarantine', 'hard'),
  'records-lost': OBSERVE,
  lost: to('reset-required', 'hard'),
  unanswering: to('reset-required', 'tomb'),
  requested: LET_GO,
  // What it was told is gone with its power, its bus master is as the kernel left it, and no driver is told.
  slept: LET_GO,
  'driver-exit': LET_GO,
  'interrupt-storm': to('quarantine', 'soft'),
  'crash-loop': to('quarantine', 'hard'),
  leak: to('quarantine', 'soft'),
  'near-limit': OBSERVE,
  // It is gone, and the device was stopped with it: what counts is how often.
  'out-of-memory': OBSERVE,
  'own-leak': OBSERVE,
  revoked: to('quarantine', 'hard'),
  evidence: OBSERVE,
};

function decided(event: WatchEvent): Decided {
  const row: Row = event.kind === 'aer' ? `aer ${event.severity}` : event.kind;
  return DECISIONS[row];
}

export function decide(event: WatchEvent): Containment {
  return decided(event).decision;
}

/**
 * What is done: nothing but a line, or how far the device is taken out of service. One that is softly in
 * quarantine and is seen to do something all the same was not stopped by that: it goes to `hard` at least,
 * whatever it is.
 */
export function actionFor(event: WatchEvent, before?: Level): Level | undefined {
  const { level } = decided(event);
  if (level === undefined || before === undefined) return level;
  const least = before === 'soft' ? 'hard' : before;
  return LEVELS.indexOf(level) > LEVELS.indexOf(least) ? level : least;
}
