/**
 * The life of a device on a host: IronShim's states of a driver, widened by what comes before and
 * after on a machine with an operating system. From anywhere it can go to quarantine, and from
 * anywhere else fail or be lost; out of quarantine leads a release that the operators of the fleet
 * signed, and nothing else: a device that fails or is pulled out there is in quarantine still.
 */

import { IronError } from '../errors.ts';
import type { State } from './lifecycle.ts';

export const HOST_STATES = [
  'absent',
  'discovered',
  'verified',
  'admitted',
  'claimed',
  'confined',
  'active',
  'suspended',
  'draining',
  'released',
  'quarantined',
  'failed',
  'lost',
] as const;
export type HostState = (typeof HOST_STATES)[number];

const FROM_ANYWHERE: readonly HostState[] = ['quarantined', 'failed', 'lost'];

const NEXT: Readonly<Record<HostState, readonly HostState[]>> = {
  absent: ['discovered'],
  discovered: ['verified', 'absent'],
  verified: ['admitted', 'discovered'],
  admitted: ['claimed', 'discovered'],
  // A device that is bound and held by nobody is given back as it is.
  claimed: ['confined', 'draining', 'released'],
  confined: ['active', 'draining', 'claimed'],
  active: ['suspended', 'draining', 'claimed'],
  suspended: ['active', 'draining'],
  draining: ['released', 'claimed'],
  released: ['discovered', 'absent'],
  // Released by the operators it is what it was to anybody before: there, and nobody's.
  quarantined: ['discovered'],
  failed: ['discovered'],
  lost: ['absent'],
};

export function isHostTransition(from: HostState, to: HostState): boolean {
  return nextOf(from).includes(to);
}

function nextOf(from: HostState): HostState[] {
  const always = from === 'quarantined' ? [from] : FROM_ANYWHERE;
  return [...NEXT[from], ...always];
}

/** `to`, when it may follow `from`; `E_AGENT_REFUSED` otherwise. */
export function hostTransition(from: HostState, to: HostState): HostState {
  if (isHostTransition(from, to)) return to;
  throw new IronError('E_AGENT_REFUSED', `a device that is ${from} cannot become ${to}`, {
    why: `from ${from} it can become: ${nextOf(from).join(', ')}`,
    hint: 'nothing was changed',
    context: { from, to },
  });
}

/** What a state is to IronShim's core; undefined where the core knows nothing of it yet. */
export function coreState(state: HostState): State | undefined {
  return CORE[state];
}

const CORE: Readonly<Partial<Record<HostState, State>>> = {
  verified: 'created',
  admitted: 'created',
  claimed: 'created',
  confined: 'initialized',
  active: 'running',
  suspended: 'suspended',
  released: 'shutdown',
  quarantined: 'quarantined',
};
