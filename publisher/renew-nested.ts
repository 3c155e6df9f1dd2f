/** The nested roles whose keys are in this folder, each with a new date and nothing else. */

import { IronError } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import { formatInstant, type Instant } from '../shared/time.ts';
import { nestedRoles, publishedBranch, sendRoles } from './branch.ts';
import { countOf, isComplete, leaveWaiting, waitingData, waitingText } from './co-sign.ts';
import { handIn } from './hand-in.ts';
import { renewedRole } from './next-role.ts';
import type { Base } from './rebase/base.ts';
import { BinLog, digestOf } from './rebase/bin-log.ts';
import { roleWords, type Session } from './session.ts';
import { type SignedBelow, signNested } from './sign-below.ts';
import type { Api } from './upload/api.ts';
import { BatchSender } from './upload/batch.ts';

/** What became of one role, for `--json` and for people. */
export interface Renewed {
  readonly data: object;
  readonly text: string;
}

/**
 * Renews those that can be signed here: the ones with all of their signatures in one snapshot, each
 * other one waits for its next signer. `E_CONFLICT` when one says something else than was signed here.
 */
export async function renewNested(
  session: Session,
  api: Api,
  base: Base,
  expires: Instant,
): Promise<Renewed[]> {
  const { context, config, dir } = session;
  const branch = publishedBranch(session, base);
  const log = await BinLog.load(dir);
  const trees = new Map<string, JsonObject>();
  const before = new Map<string, Instant>();
  for (const { name } of base.role?.delegations?.roles ?? []) {
    if ((config.nested?.get(name) ?? []).length === 0) {
      context.ui.note(`no key of ${name} is in this folder: its own signers renew it`);
      continue;
    }
    const role = await branch.below(name);
    if (!context.flag('adopt') && !log.knows(name, digestOf(crypto, role.envelope.tree)))
      throw foreign(name);
    trees.set(name, renewedRole(role, expires));
    before.set(name, role.expires);
  }
  const signed = (await signNested(session, nestedRoles(base, trees))).filter(
    ({ have }) => have > 0,
  );
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
  return renewed;
}

function dataOf({ role, version, expires }: SignedBelow, was: string): object {
  return { role, version, expires: formatInstant(expires), was };
}

function foreign(name: string): IronError {
  return new IronError('E_CONFLICT', `${name} says what was not signed in this folder`, {
    why: 'to renew it would be to vouch for what this machine has not seen before',
    hint: 'look at what is published; give --adopt if it is yours',
  });
}
