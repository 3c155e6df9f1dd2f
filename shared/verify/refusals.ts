/** The three refusals of the client workflow that concern every role: older, another, expired. */

import { IronError } from '../errors.ts';
import { DAY, formatInstant, formatSpan, type Instant } from '../time.ts';
import type { SignedCommon } from '../tuf/envelope.ts';

/** `E_ROLLBACK` when `offered` is below `floor`; `rule` is the clause that set the floor. */
export function refuseOlder(role: string, offered: number, floor: number, rule: string): void {
  if (offered >= floor) return;
  throw new IronError('E_ROLLBACK', `${role} went back from version ${floor} to ${offered}`, {
    why: `a version that this machine trusted before is never undercut (${rule})`,
    hint: 'nothing was changed; try another mirror, or report this one',
    context: { role, offered, floor },
  });
}

/** `E_MIX_AND_MATCH` unless the version found is the one that `by` names. */
export function requireVersion(role: string, found: number, named: number, by: string): void {
  if (found === named) return;
  throw new IronError(
    'E_MIX_AND_MATCH',
    `${role} ${found} was served where ${by} names version ${named}`,
    {
      why: 'files of two states of the repository were combined',
      hint: 'nothing was changed; the mirror is in the middle of an update, or altered: try again or elsewhere',
      context: { role, found, named },
    },
  );
}

/** `E_EXPIRED` unless the file expires after the fixed present (TUF 5.3.10, 5.4.4, 5.5.6, 5.6.5). */
export function requireFresh(file: SignedCommon, role: string, now: Instant): void {
  if (file.expires > now) return;
  throw new IronError(
    'E_EXPIRED',
    `${role} ${file.version} expired ${formatSpan(now - file.expires)} ago`,
    {
      why: `it was valid until ${formatInstant(file.expires)}, and this machine's clock says ${formatInstant(now)}`,
      hint: 'nothing was changed; compare the clock, try another mirror, or ask who runs the repository',
      context: { role, version: file.version, expires: formatInstant(file.expires) },
    },
  );
}

/**
 * The same for a timestamp or a snapshot without the network, where the user may give leave:
 * `E_STALE` when it expired longer than `maxStale` seconds ago. What it was too old for is said as
 * an age, because that is what the leave is given for.
 */
export function requireNotStale(
  file: SignedCommon,
  role: string,
  now: Instant,
  maxStale: number,
): void {
  const age = now - file.expires;
  if (file.expires > now || age <= maxStale) return;
  throw new IronError('E_STALE', `its ${role} expired ${formatSpan(age)} ago`, {
    why: `${role} ${file.version} was valid until ${formatInstant(file.expires)}, and now is ${formatInstant(now)}: what was published or withdrawn since is not known here`,
    hint: `nothing was changed; bring newer metadata, or accept this age with --max-stale ${Math.ceil(age / DAY)}d`,
    context: { role, version: file.version, expires: formatInstant(file.expires), seconds: age },
  });
}
