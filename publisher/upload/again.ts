/** What is worth another try, and how long to wait before it. */

import { setTimeout } from 'node:timers/promises';
import { isIronError } from '../../shared/errors.ts';
import type { Api } from './api.ts';

/** The longest that a service's own word on when to come again is followed. */
const LONGEST_SECONDS = 60;

/** Whether the same may succeed later. Not so a quota that only a publication, or time, frees. */
export function isWorthRetrying(error: unknown): boolean {
  if (isIronError(error, 'E_QUOTA')) return typeof error.context.retry_after === 'number';
  // E_CONFLICT: somebody, perhaps our own earlier attempt, moved the offset.
  return isIronError(error, 'E_NETWORK', 'E_SLOW', 'E_TRY_AGAIN', 'E_CONFLICT', 'E_LOCKED');
}

/**
 * Waits before try number `attempt` + 1: each time twice as long, and less by chance, so that
 * programs which one failure stopped do not come back together.
 */
export async function pause(api: Api, attempt: number, error: unknown): Promise<void> {
  const longest = 250 * 2 ** attempt;
  const [byte = 0] = api.random(1);
  const asked = isIronError(error, 'E_QUOTA') ? Number(error.context.retry_after) : 0;
  const least = Math.min(asked, LONGEST_SECONDS) * 1000;
  const options = api.signal === undefined ? {} : { signal: api.signal };
  await setTimeout(least + longest * (0.5 + byte / 512), undefined, options);
}
