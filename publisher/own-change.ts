/** A change of one's own role that lists nothing new: signed at home, then published, or left to others. */

import type { CommandResult } from '../shared/cli/command.ts';
import { LIFETIMES } from '../shared/limits.ts';
import { systemClock } from '../shared/node/clock.ts';
import { formatInstant } from '../shared/time.ts';
import { leaveWaiting, waitingData, waitingText } from './co-sign.ts';
import { handIn, signRole } from './hand-in.ts';
import { nextRole, type RoleChange } from './next-role.ts';
import type { Base } from './rebase/base.ts';
import { apiOf, roleWords, type Session } from './session.ts';

export interface OwnChange {
  readonly change: Omit<RoleChange, 'entries' | 'expires'>;
  /** What the result says besides the role, its version and its signatures. */
  readonly facts: object;
  /** One line about what holds from now on. */
  readonly text: string;
}

/** Throws as `nextRole`, `signRole` and `handIn` do. */
export async function publishChange(
  session: Session,
  base: Base,
  { change, facts, text }: OwnChange,
): Promise<CommandResult> {
  const { context, config } = session;
  const expires = systemClock() + LIFETIMES.vendor;
  const next = nextRole(base.role, { ...change, entries: new Map(), expires });
  const signed = await signRole(session, base, next);
  const words = roleWords(config.vendor, signed.role);
  context.ui.stage(`signed ${words}, at home`);
  const data = {
    ...facts,
    role: config.vendor,
    version: signed.role.version,
    expires: formatInstant(signed.role.expires),
    signatures: { have: signed.have, need: signed.need },
  };
  const api = await apiOf(session);
  if (signed.have < signed.need) {
    const waiting = await leaveWaiting(session, api, { own: signed, nested: [] });
    return { data: { ...data, ...waitingData(waiting) }, text: waitingText(waiting, signed) };
  }
  const published = await handIn(session, api, signed);
  return {
    data: { ...data, published: true, ...published },
    text: [text, `  ${words}, in snapshot ${published.snapshot}`].join('\n'),
  };
}
