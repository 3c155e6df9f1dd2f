/** What a look at a store found: each thing with what it means and what to do. */

import type { IronError } from '../../shared/errors.ts';

/**
 * `heals`: damage to what is only a cache; the next refresh replaces it from the pinned root.
 * `broken`: nothing here can mend it. `note`: nothing is wrong, and it is good to know.
 */
export type FindingState = 'ok' | 'note' | 'heals' | 'broken';

export interface Finding {
  readonly state: FindingState;
  /** `pinned root`, `floors`, `targets.json`. */
  readonly subject: string;
  readonly what: string;
  /** What to do about it; nothing where nothing need be done. */
  readonly advice?: string;
  /** Mends it now, where that can be done. */
  readonly repair?: () => Promise<void>;
}

export function ok(subject: string, what: string): Finding {
  return { state: 'ok', subject, what };
}

/** An error of ours, as a finding. */
export function fromError(state: FindingState, subject: string, error: IronError): Finding {
  const what = error.why === undefined ? error.message : `${error.message}: ${error.why}`;
  return { state, subject, what, ...(error.hint === undefined ? {} : { advice: error.hint }) };
}
