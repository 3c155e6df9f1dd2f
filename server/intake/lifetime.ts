/** No role that people sign lives longer than its kind may. */

import { IronError } from '../../shared/errors.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import { formatSpan, type Instant } from '../../shared/time.ts';
import type { SignedCommon } from '../../shared/tuf/envelope.ts';

export function demandLifetime(
  role: string,
  file: SignedCommon,
  lifetime: number,
  now: Instant,
): void {
  if (file.expires <= now)
    throw new IronError('E_EXPIRED', `${role} ${file.version} has expired before it was published`);
  // Leap days and clocks: a day more than the lifetime is no policy to argue about.
  if (file.expires <= now + lifetime + 86_400 + SERVER_LIMITS.clockSkewSeconds) return;
  throw new IronError('E_POLICY', `${role} ${file.version} would live too long`, {
    why: `more than ${formatSpan(lifetime)}: a role that nobody renews must run out`,
    hint: 'nothing was changed; sign it again with a nearer expiry',
  });
}
