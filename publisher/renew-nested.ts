/** The nested roles whose keys are in this folder, each with a new date and nothing else. */

import { isIronError } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import { formatInstant, type Instant } from '../shared/time.ts';
import { nestedRoles, publishedBranch, sendRoles } from './branch.ts';
import { countOf, isComplete, leaveWaiting, waitingData, waitingText } from './co-sign.ts';
import { handIn } from './hand-in.ts';
import { renewedRole } from './next-role.ts';
import type { Base } from './rebase/base.ts';
import { BinLog, digestOf } from './rebase/bin-log.ts';
import type { PublishedBranch } from './rebase/published-branch.ts';
import { roleWords, type Session } from './session.ts';
import { type SignedBelow, signNested } from './sign-below.ts';
import type { Api } from './upload/api.ts';
import { BatchSender } from './upload/batch.ts';

/** What was renewed, and what was left as it is. */
export interface RenewedNested {
  readonly renewed: readonly Renewed[];
  readonly left: readonly Left[];
}

/** A nested role that was not renewed here. */
export interface Left {
  readonly role: string;
  /**
   * `elsewhere`: vendor.json names none of its keys, and its own signers renew it. `unknown`: it says what
   * was not signed in this folder. `keys`: none of the keys that vendor.json names for it counts.
   */
  readonly why: 'elsewhere' | 'unknown' | 'keys';
  /** When it expires, if nobody renews it; undefined when what is published of it cannot be read. */
  readonly expires: Instant | undefined;
}

/** What became of one role, for `--json` and for people. */
export interface Renewed {
  readonly data: object;
  readonly text: string;
}

/**
 * Renews those that can be signed here: the ones with all of their signatures in one snapshot, each
 * other one waits for its next signer. One that says something else than was signed here, or on which
 * none of the keys here counts, is warned of and left: the others must not expire for its sake.
 */
export async function renewNested(
  session: Session,
  api: Api,
  base: Base,
  expires: Instant,
): Promise<RenewedNested> {
  const { context, config, dir } = session;
  const branch = publishedBranch(session, base);
  const log = await BinLog.load(dir);
  const trees = new Map<string, JsonObject>();
  const before = new Map<string, Instant>();
  const left: Left[] = [];
  for (const { name } of base.role?.delegations?.roles ?? []) {
    if ((config.nested?.get(name) ?? []).length === 0) {
      context.ui.note(`no key of ${name} is in this folder: its own signers renew it`);
      left.push({ role: name, why: 'elsewhere', expires: await expiryOf(session, branch, name) });
      continue;
    }
    const role = await branch.below(name);
    if (!context.flag('adopt') && !log.knows(name, digestOf(crypto, role.envelope.tree))) {
      context.ui.warn(
        `${name} says what was not signed in this folder, and is left as it is: look at what is published, and give --adopt if it is yours`,
      );
      left.push({ role: name, why: 'unknown', expires: role.expires });
      continue;
    }
    trees.set(name, renewedRole(role, expires));
    before.set(name, role.expires);
  }
  const all = await signNested(session, nestedRoles(base, trees));
  const signed = all.filter(({ have }) => have > 0);
  for (const { role } of all.filter(({ have }) => have === 0)) {
    context.ui.warn(
      `no key that vendor.json names for ${role} is here and counts on it, and it is left as it is: they were exchanged, or are elsewhere`,
    );
    left.push({ role, why: 'keys', expires: before.get(role) as Instant });
  }
  const whole = signed.filter((one) => isComplete({ own: undefined, nested: [one] }));
  if (whole.length > 0) {
    const sender = new BatchSender(api);
    await sendRoles(api, sender, whole);
    await sender.flush();
    await handIn(session, api, undefined, { nested: whole });
  }
  const renewed: Renewed[] = [];
  for (const one of signed) {
    const was = formatInstant(before.get(one.role) as Instant);
    const said = dataOf(one, was);
    if (whole.includes(one)) {
      const text = `${roleWords(one.role, one)}, where it was ${was}`;
      renewed.push({ data: { ...said, published: true }, text });
      continue;
    }
    const together = { own: undefined, nested: [one] };
    const waiting = await leaveWaiting(session, api, together);
    const { pending } = waitingData(waiting) as { readonly pending: object };
    const text = `${one.role}: ${waitingText(waiting, countOf(together))}`;
    renewed.push({ data: { ...said, published: false, pending }, text });
  }
  return { renewed, left };
}

/** Of a role that others renew: that it is not there, or is not theirs, keeps nobody from renewing the rest. */
async function expiryOf(
  { context }: Session,
  branch: PublishedBranch,
  role: string,
): Promise<Instant | undefined> {
  try {
    return (await branch.below(role)).expires;
  } catch (error) {
    if (!isIronError(error) || error.code === 'E_INTERNAL') throw error;
    context.ui.warn(`what is published of ${role} cannot be read: ${error.code}: ${error.message}`);
    return undefined;
  }
}

function dataOf({ role, version, expires }: SignedBelow, was: string): object {
  return { role, version, expires: formatInstant(expires), was };
}
