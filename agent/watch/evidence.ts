/** Whether what a running driver rests on still stands, and for how long. */

import { isIronError } from '../../shared/errors.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { findRevocation } from '../../shared/revocation/judge.ts';
import { formatInstant, formatSpan, type Instant } from '../../shared/time.ts';
import type { Agent } from '../agent.ts';
import { loadAccepted } from '../entry.ts';
import { loadInForce, subjectOf } from '../revocations.ts';
import type { WatchEvent } from './event.ts';

export interface Resting {
  /** Target path of the driver. */
  readonly path: string;
  readonly grantExpires: Instant;
}

/** What is so now; the same words as long as the same is so. */
export async function evidenceEvents(agent: Agent, resting: Resting): Promise<WatchEvent[]> {
  const { path, grantExpires } = resting;
  const events: WatchEvent[] = [];
  try {
    const driver = await loadAccepted(agent, path);
    const revoked = findRevocation(await loadInForce(agent), subjectOf(driver));
    if (revoked !== undefined)
      events.push({ kind: 'revoked', what: `${path}: ${revoked.what} (${revoked.why})` });
    events.push(...lead(agent, 'the metadata that it was accepted on', driver.freshUntil));
  } catch (error) {
    // Withdrawn by its vendor, or taken out: what runs is not stopped for it.
    if (!isIronError(error, 'E_WITHDRAWN', 'E_NOT_FOUND')) throw error;
    events.push({ kind: 'evidence', what: error instanceof Error ? error.message : '' });
  }
  return [...events, ...lead(agent, 'its grant', grantExpires)];
}

function lead(agent: Agent, what: string, until: Instant): WatchEvent[] {
  const left = until - agent.clock();
  if (left > AGENT_LIMITS.leadSeconds) return [];
  const when = formatInstant(until);
  const text =
    left <= 0
      ? `${what} expired at ${when}`
      : `${what} expires at ${when}, in less than ${formatSpan(AGENT_LIMITS.leadSeconds)}`;
  return [{ kind: 'evidence', what: text }];
}
