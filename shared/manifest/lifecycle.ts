/**
 * The life of a bound driver, as IronShim-rs has it: Created, Initialized, Running and Suspended by
 * turns, Shutdown. Quarantine can come at any time, also twice and also after the end, and nothing
 * leads out of it here: that takes a release signed by the fleet's operators.
 */

import { IronError } from '../errors.ts';

export const STATES = [
  'created',
  'initialized',
  'running',
  'suspended',
  'shutdown',
  'quarantined',
] as const;
export type State = (typeof STATES)[number];

/** IronShim-rs driver.rs; note that what never ran is not shut down. */
const NEXT: Readonly<Record<State, readonly State[]>> = {
  created: ['initialized', 'quarantined'],
  initialized: ['running', 'quarantined'],
  running: ['suspended', 'shutdown', 'quarantined'],
  suspended: ['running', 'shutdown', 'quarantined'],
  shutdown: ['quarantined'],
  quarantined: ['quarantined'],
};

export function isTransition(from: State, to: State): boolean {
  return NEXT[from].includes(to);
}

/** `to`, when it may follow `from`; `E_AGENT_REFUSED` otherwise. */
export function transition(from: State, to: State): State {
  if (isTransition(from, to)) return to;
  const next = NEXT[from].join(', ');
  throw new IronError('E_AGENT_REFUSED', `a driver that is ${from} cannot become ${to}`, {
    why: `from ${from} it can become: ${next}`,
    hint: 'nothing was changed',
    context: { from, to },
  });
}
