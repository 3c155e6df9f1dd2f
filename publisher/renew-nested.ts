/** The nested roles whose keys are in this folder, each with a new date and nothing else. */

import { isIronError } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import { formatInstant, type Instant } from '../shared/time.ts';
import { isBinName, rolesBelow } from '../shared/tuf/nested.ts';
import type { Targets } from '../shared/tuf/targets.ts';
import { publishedBranch, sendRoles, toSign } from './branch.ts';
import {
  countOfDraft,
  isComplete,
  leaveWaiting,
  type Waiting,
  waitingData,
  waitingText,
} from './co-sign.ts';
import { handIn } from './hand-in.ts';
import { renewedRole } from './next-role.ts';
import type { Base } from './rebase/base.ts';
import { BinLog, lineOf } from './rebase/bin-log.ts';
import type { PublishedBranch } from './rebase/published-branch.ts';
import { type RenewedBins, renewBins } from './renew-bins.ts';
import { roleWords, type Session } from './session.ts';
import { type SignedBelow, signBelow } from './sign-below.ts';
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
   * was not signed in this folder. `keys`: none of the keys that vendor.json names for it counts. `room`:
   * some of its bins, as many changes wait for signatures as may.
   */
  readonly why: 'elsewhere' | 'unknown' | 'keys' | 'room';
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
  const { context } = session;
  const found = await findNested(session, publishedBranch(session, base), expires);
  const { branch, trees, before } = found;
  const left = [...found.left];
  const all = await signBelow(session, await toSign(branch, trees));
  const signed = all.filter(({ have }) => have > 0);
  for (const { role } of all.filter(({ have }) => have === 0)) {
    context.ui.warn(
      `no key that vendor.json names for ${role} is here and counts on it, and it is left as it is: they were exchanged, or are elsewhere`,
    );
    left.push({ role, why: 'keys', expires: (before.get(role) as Targets).expires });
  }
  const whole = signed.filter((one) => isComplete({ own: undefined, nested: [one] }));
  if (whole.length > 0) {
    const sender = new BatchSender(api);
    await sendRoles(api, sender, whole);
    await sender.flush();
    await handIn(session, api, undefined, { nested: whole });
  }
  const adopt = context.flag('adopt');
  const renewed: Renewed[] = [];
  for (const one of signed) {
    const old = before.get(one.role) as Targets;
    const succinct = old.delegations?.succinct;
    const together = { own: undefined, nested: [one] };
    const isWhole = whole.includes(one);
    // What lacks signatures waits together with its bins.
    const bins =
      succinct === undefined
        ? undefined
        : await renewBins(session, api, base, succinct, {
            ...{ expires, adopt },
            ...(isWhole ? {} : { own: together }),
          });
    const waiting = bins?.waiting ?? (isWhole ? [] : [await leaveWaiting(session, api, together)]);
    if (bins !== undefined && bins.left > 0)
      left.push({ role: one.role, why: 'room', expires: old.expires });
    renewed.push(renewedOf(one, old, { isWhole, bins, waiting }));
  }
  return { renewed, left };
}

interface Outcome {
  readonly isWhole: boolean;
  readonly bins: RenewedBins | undefined;
  readonly waiting: readonly Waiting[];
}

function renewedOf(one: SignedBelow, old: Targets, { isWhole, bins, waiting }: Outcome): Renewed {
  const was = formatInstant(old.expires);
  const said = dataOf(one, was);
  const withBins = bins === undefined ? said : { ...said, bins: bins.renewed };
  const others = isWhole ? waiting : waiting.slice(1);
  const ids = others.map(({ draft }) => draft.id);
  const more = bins === undefined ? {} : { also_pending: ids };
  const waits = waiting.map((it) => `${one.role}: ${waitingText(it, countOfDraft(it.draft))}`);
  const [first] = waiting;
  if (isWhole || first === undefined) {
    const count = bins === undefined ? '' : `${bins.renewed} bins and `;
    return {
      data: { ...withBins, published: true, ...more },
      text: [`${count}${roleWords(one.role, one)}, where it was ${was}`, ...waits].join('\n'),
    };
  }
  const { pending } = waitingData(first) as { readonly pending: object };
  return { data: { ...withBins, published: false, pending, ...more }, text: waits.join('\n') };
}

interface FoundNested {
  readonly branch: PublishedBranch;
  /** Those to renew, and what is published of each. */
  readonly trees: ReadonlyMap<string, JsonObject>;
  readonly before: ReadonlyMap<string, Targets>;
  readonly left: readonly Left[];
}

/** Every nested role, however deep: those of this folder to be renewed, the others as they are. */
async function findNested(
  session: Session,
  branch: PublishedBranch,
  expires: Instant,
): Promise<FoundNested> {
  const { context, config, dir } = session;
  const log = await BinLog.load(dir);
  const trees = new Map<string, JsonObject>();
  const before = new Map<string, Targets>();
  const left: Left[] = [];
  const lookBelow = async (above: Targets | undefined): Promise<void> => {
    for (const name of rolesBelow(above).filter((role) => !isBinName(role))) {
      if ((config.nested?.get(name) ?? []).length === 0) {
        context.ui.note(`no key of ${name} is in this folder: its own signers renew it`);
        const role = await readable(session, branch, name);
        left.push({ role: name, why: 'elsewhere', expires: role?.expires });
        await lookBelow(role);
        continue;
      }
      const role = await branch.below(name);
      before.set(name, role);
      if (!context.flag('adopt') && !log.knows(lineOf(crypto, name, role))) {
        context.ui.warn(
          `${name} says what was not signed in this folder, and is left as it is: look at what is published, and give --adopt if it is yours`,
        );
        left.push({ role: name, why: 'unknown', expires: role.expires });
      } else {
        trees.set(name, renewedRole(role, expires));
      }
      await lookBelow(role);
    }
  };
  await lookBelow(branch.base.role);
  return { branch, trees, before, left };
}

/** A role that others renew: that it is not there, or is not theirs, keeps nobody from renewing the rest. */
async function readable(
  { context }: Session,
  branch: PublishedBranch,
  role: string,
): Promise<Targets | undefined> {
  try {
    const file = await branch.below(role);
    // What it delegates to must be sound as well, before anybody looks below it.
    rolesBelow(file);
    return file;
  } catch (error) {
    if (!isIronError(error) || error.code === 'E_INTERNAL') throw error;
    context.ui.warn(`what is published of ${role} cannot be read: ${error.code}: ${error.message}`);
    return undefined;
  }
}

function dataOf({ role, version, expires }: SignedBelow, was: string): object {
  return { role, version, expires: formatInstant(expires), was };
}
