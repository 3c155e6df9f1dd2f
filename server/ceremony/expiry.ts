/** Until when what operators sign is to be valid: no longer than the service takes it. */

import type { CommandContext } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { LIFETIMES } from '../../shared/limits.ts';
import { formatSpan, type Instant, parseSpan } from '../../shared/time.ts';

/**
 * From the option. `E_USAGE` for no span, or one that intake would refuse: better heard here than when
 * all have signed.
 */
export function expiryFor(
  context: CommandContext,
  role: 'root' | 'targets',
  now: Instant,
  option: 'expires-in' | 'targets-expires-in' = 'expires-in',
): Instant {
  const span = parseSpan(context.need(option));
  if (span <= LIFETIMES[role]) return now + span;
  throw new IronError('E_USAGE', `${role} may live ${formatSpan(LIFETIMES[role])} at the most`, {
    why: 'the service refuses more: what nobody renews must run out',
    hint: `nothing was signed and nothing was written; give less with --${option}`,
    context: { role, limit: LIFETIMES[role] },
  });
}
