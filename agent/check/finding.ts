/** What a look at a host found: each thing, what it means for drivers, and what to do. */

import type { HostView } from './view.ts';

/**
 * `fails`: no device is bound, or no driver started, while it is so. `unknown`: it cannot be told
 * from here, or by this user. `note`: it stops some devices or grants, and not others.
 */
export type FindingState = 'ok' | 'note' | 'unknown' | 'fails';

export interface HostFinding {
  /** The name of the check, for scripts. */
  readonly check: string;
  readonly state: FindingState;
  readonly what: string;
  /** What to do about it; there is one wherever the state is not `ok`. */
  readonly remedy?: string;
}

/** One question about a host. Pure: all that it asks is in the view. */
export type HostCheck = (view: HostView) => HostFinding;

export function ok(check: string, what: string): HostFinding {
  return { check, state: 'ok', what };
}
