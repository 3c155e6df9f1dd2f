/** The states that a device goes through, as lines of the audit log. */

import { type HostState, hostTransition } from '../shared/manifest/host-lifecycle.ts';
import type { AuditEvent } from './audit.ts';

/** One event for each transition, from state to state. `E_AGENT_REFUSED` for one that there is not. */
export function transitions(
  device: string,
  from: HostState,
  ...states: readonly HostState[]
): AuditEvent[] {
  let before = from;
  return states.map((state) => {
    const event = { event: 'state', device, from: before, to: hostTransition(before, state) };
    before = state;
    return event;
  });
}
