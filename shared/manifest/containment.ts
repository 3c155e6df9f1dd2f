/**
 * What follows from an error that a device reports: IronShim-rs's `AerSeverity::containment`. One
 * table, so that nobody decides it twice.
 */

/** PCI Express 6.2.2 and 6.2.11: how bad, and whether a port above already contains it. */
export const SEVERITIES = ['correctable', 'non-fatal', 'fatal', 'dpc-containment'] as const;
export type Severity = (typeof SEVERITIES)[number];

export const CONTAINMENTS = ['observe', 'quarantine', 'reset-required'] as const;
export type Containment = (typeof CONTAINMENTS)[number];

const DECISIONS: Readonly<Record<Severity, Containment>> = {
  correctable: 'observe',
  'non-fatal': 'quarantine',
  fatal: 'reset-required',
  'dpc-containment': 'reset-required',
};

export function containmentFor(severity: Severity): Containment {
  return DECISIONS[severity];
}

/** The stronger of several decisions; `observe` for none. */
export function strongest(decisions: readonly Containment[]): Containment {
  const rank = Math.max(0, ...decisions.map((it) => CONTAINMENTS.indexOf(it)));
  return CONTAINMENTS[rank] as Containment;
}
