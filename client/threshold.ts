/** When monitoring is told: a share of a role's life, or a span. */

import { IronError } from '../shared/errors.ts';
import { LIFETIMES } from '../shared/limits.ts';
import { type Instant, parseSpan } from '../shared/time.ts';
import type { RoleStatus } from './status.ts';

/** Whether a role has less than that left. */
export type Threshold = (role: RoleStatus, now: Instant) => boolean;

/** Reads `25%`, `6h`, `3d`. `E_USAGE` on anything else. */
export function parseThreshold(text: string): Threshold {
  const [, digits] = /^([1-9][0-9]?)%$/.exec(text) ?? [];
  if (digits !== undefined) {
    return (role, now) => (role.expires - now) * 100 < lifetime(role) * Number(digits);
  }
  try {
    const seconds = parseSpan(text);
    return ({ expires }, now) => expires - now < seconds;
  } catch (cause) {
    throw new IronError('E_USAGE', `not a share and not a span of time: ${JSON.stringify(text)}`, {
      hint: 'write 1% to 99%, or a number and h, d, w or y: 25%, 12h, 3d',
      cause,
    });
  }
}

/**
 * How long a role lives. Metadata does not say when it was signed, so it is the usual life of such
 * a role, or what of it was seen here when that is longer: a host that is new to a repository
 * must not take the rest of a root's year for a whole one.
 */
export function lifetime({ role, expires, since }: RoleStatus): number {
  const usual = Object.hasOwn(LIFETIMES, role)
    ? LIFETIMES[role as keyof typeof LIFETIMES]
    : LIFETIMES.vendor;
  return since === undefined ? usual : Math.max(usual, expires - since);
}
