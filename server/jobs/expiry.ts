/** When somebody must be reminded that a role expires: pure functions of lives and of the time. */

import { LIFETIMES } from '../../shared/limits.ts';
import { formatInstant, formatSpan, type Instant } from '../../shared/time.ts';

/** Shares of a life, in percent, at which those who sign a role are warned; descending. */
export const THRESHOLDS = [50, 25, 10] as const;
export type Threshold = (typeof THRESHOLDS)[number];

/** One version of a role, from when the service first saw it until it expires. */
export interface RoleLife {
  readonly role: string;
  readonly version: number;
  readonly began: Instant;
  readonly expires: Instant;
}

export interface ExpiryWarning extends RoleLife {
  readonly threshold: Threshold;
  /** What is left now, in whole percent. */
  readonly left: number;
}

/** Roles that the service renews itself: nobody needs to be reminded of them. */
export function isOnline(role: string): boolean {
  return role === 'snapshot' || role === 'timestamp';
}

/** What is left of a life, in percent, from 0 to 100. */
export function leftOf({ began, expires }: RoleLife, now: Instant): number {
  if (expires <= now) return 0;
  if (expires <= began) return 100;
  return Math.min(100, ((expires - now) / (expires - began)) * 100);
}

/** The lowest threshold that was passed: after a long pause one warning is enough. */
export function passed(life: RoleLife, now: Instant): Threshold | undefined {
  const left = leftOf(life, now);
  return THRESHOLDS.findLast((threshold) => left <= threshold);
}

/**
 * When the life of a version began that is seen for the first time. TUF has no field for it: seen
 * beside others that are known already, it began now; a service that knows nothing yet takes it
 * for one of the usual length, which can only warn too early.
 */
export function beganAt(
  role: string,
  expires: Instant,
  now: Instant,
  knowsOthers: boolean,
): Instant {
  return knowsOthers ? now : Math.min(now, expires - usualLifetime(role));
}

function usualLifetime(role: string): number {
  if (role === 'root' || role === 'targets' || role === 'revocations') return LIFETIMES[role];
  return LIFETIMES.vendor;
}

/** In words, for logs and for people. */
export function warningText({ role, version, expires, left }: ExpiryWarning, now: Instant): string {
  const until = `${formatInstant(expires)}, in ${formatSpan(expires - now)}`;
  return expires <= now
    ? `${role} ${version} has expired, and hosts refuse what it signs: sign it again`
    : `${role} ${version} has ${left} % of its life left and expires ${until}: sign it again`;
}
