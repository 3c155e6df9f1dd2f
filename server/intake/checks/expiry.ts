/** The role is fresh, and not for longer than a vendor's role lives. */

import { IronError } from '../../../shared/errors.ts';
import { LIFETIMES, SERVER_LIMITS } from '../../../shared/limits.ts';
import { formatInstant, formatSpan } from '../../../shared/time.ts';
import type { Check } from '../check.ts';

export const expiry: Check = ({ file, now, role }) => {
  if (file.expires <= now) {
    throw new IronError('E_EXPIRED', `${role} ${file.version} expired before it was submitted`, {
      why: `it was valid until ${formatInstant(file.expires)}`,
    });
  }
  if (file.expires > now + LIFETIMES.vendor + SERVER_LIMITS.clockSkewSeconds) {
    throw new IronError('E_POLICY', `${role} ${file.version} would live too long`, {
      why: `${formatInstant(file.expires)} is more than ${formatSpan(LIFETIMES.vendor)} ahead: a role that nobody renews must run out`,
    });
  }
  return `valid for ${formatSpan(file.expires - now)}`;
};
