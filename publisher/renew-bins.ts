/** The bins of a split role with a new date and nothing else, so many at once that memory holds. */

import { IronError, isIronError } from '../shared/errors.ts';
import { LIFETIMES, PUBLISHER_LIMITS } from '../shared/limits.ts';
import { beside } from '../shared/node/beside.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import type { Instant } from '../shared/time.ts';
import { binNames, type SuccinctRoles } from '../shared/tuf/delegations.ts';
import { sendRoles } from './branch.ts';
import { isComplete, leaveWaiting, type SignedTogether, type Waiting } from './co-sign.ts';
import { handIn } from './hand-in.ts';
import { renewedRole } from './next-role.ts';
import { overlap } from './overlap.ts';
import type { Base } from './rebase/base.ts';
import { loadBelow } from './rebase/below.ts';
import { BinLog, lineOf } from './rebase/bin-log.ts';
import type { Session } from './session.ts';
import {
  areEnoughHere,
  demandSome,
  type RoleToSign,
  type SignedBelow,
  signBelow,
} from './sign-below.ts';
import type { Api } from './upload/api.ts';
import { BatchSender } from './upload/batch.ts';
import { RepositoryFetcher } from './upload/fetcher.ts';
import { canWait } from './upload/pending.ts';

/** What became of the bins of a role. */
export interface RenewedBins {
  /** Signed here: published, or waiting for their next signer. */
  readonly renewed: number;
  /** What waits, the own role in the first one if it was given. */
  readonly waiting: readonly Waiting[];
  /** Not begun, as too much waits already, and due: the others have most of their time before them. */
  readonly left: number;
}

/**
 * Renews every bin; those that lack signatures wait for them, so many together as a proposal may have.
 * `E_CONFLICT` when one says something else than was signed here, before any of its group is signed;
 * groups before it are published, or wait, and stay good.
 * @param own the role that is split when it lacks signatures: it waits with the first of them
 */
export async function renewBins(
  session: Session,
  api: Api,
  base: Base,
  succinct: SuccinctRoles,
  { expires, adopt, own }: { expires: Instant; adopt: boolean; own?: SignedTogether },
): Promise<RenewedBins> {
  const log = await BinLog.load(session.dir);
  const fetcher = new RepositoryFetcher(session.repository);
  const parts = { fetcher, base, succinct, expires, adopt, log };
  const { names, due } = await inTheirOrder(session, parts);
  const progress = session.context.ui.progress('renewing bins', names.length);
  const proposals = new Proposals(session, api, own);
  /** Digests of the files that were handed in last. */
  let before: ReadonlySet<string> = new Set();
  // A group is read, signed and sent while the service publishes the one before it. Bins without an entry
  // are one and the same file: what that one has as well, the service forgets when it is published.
  await overlap(
    groupsOf(names, PUBLISHER_LIMITS.binsAtOnce),
    async (group) => {
      const signed = await signGroup(session, parts, group);
      if (isWhole(signed))
        await sendGroup(
          api,
          signed.filter(({ sha256 }) => !before.has(sha256)),
        );
      return signed;
    },
    async (signed) => {
      const onDone = (count: number): void => progress.advance(count);
      if (!isWhole(signed)) return { isLast: !(await proposals.leave(signed, onDone)) };
      await sendGroup(
        api,
        signed.filter(({ sha256 }) => before.has(sha256)),
      );
      before = new Set(signed.map(({ sha256 }) => sha256));
      const published = handIn(session, api, undefined, { bins: signed });
      return { rest: published.then(() => onDone(signed.length)) };
    },
  );
  progress.done();
  const { waiting, bins, isFull } = await proposals.end();
  // Those that are due come first.
  const left = isFull ? Math.max(0, due - bins) : 0;
  if (left > 0)
    session.context.ui.warn(
      `${left} bins are not renewed yet: as many changes wait as may; run it again when they are published`,
    );
  return { renewed: isFull ? bins : names.length, waiting, left };
}

/** What lacks signatures, left at the service in so many proposals as it takes. */
class Proposals {
  readonly #session: Session;
  readonly #api: Api;
  #own: SignedTogether | undefined;
  readonly waiting: Waiting[] = [];
  /** Bins that wait. */
  bins = 0;
  isFull = false;

  constructor(session: Session, api: Api, own: SignedTogether | undefined) {
    this.#session = session;
    this.#api = api;
    this.#own = own;
  }

  /** False when no more may wait. */
  async leave(signed: readonly SignedBelow[], onLeft: (count: number) => void): Promise<boolean> {
    for (let at = 0; at < signed.length && !this.isFull; ) {
      const { own: role, nested = [] } = this.#own ?? {};
      const own = [...(role === undefined ? [] : [role]), ...nested];
      let end = at;
      while (end < signed.length && canWait([...own, ...signed.slice(at, end + 1)])) end += 1;
      // One that is too large by itself is refused with what says so.
      const bins = signed.slice(at, Math.max(end, at + 1));
      if (await this.#bring(bins)) onLeft(bins.length);
      at += bins.length;
    }
    return !this.isFull;
  }

  /** The own role waits alone where no bin took it along. */
  async end(): Promise<this> {
    if (this.#own !== undefined && !this.isFull) await this.#bring([]);
    return this;
  }

  async #bring(bins: readonly SignedBelow[]): Promise<boolean> {
    try {
      const { own, nested = [] } = this.#own ?? {};
      const together = { own, nested, bins };
      this.waiting.push(await leaveWaiting(this.#session, this.#api, together));
    } catch (error) {
      // What waits already is not lost by it.
      if (!isIronError(error, 'E_QUOTA') || this.waiting.length === 0) throw error;
      this.isFull = true;
      return false;
    }
    this.#own = undefined;
    this.bins += bins.length;
    return true;
  }
}

/** What every group is read and signed by. */
interface GroupParts {
  readonly fetcher: RepositoryFetcher;
  readonly base: Base;
  readonly succinct: SuccinctRoles;
  readonly expires: Instant;
  readonly adopt: boolean;
  readonly log: BinLog;
}

/**
 * All bins; where not all of them may be able to wait, those first that end first: then the next run comes
 * to those that this one leaves. Due are those with less than half of their time before them, so that a
 * renewal of more than may wait at once comes to its end.
 */
async function inTheirOrder(
  session: Session,
  { fetcher, base, succinct, expires }: GroupParts,
): Promise<{ readonly names: readonly string[]; readonly due: number }> {
  const names = binNames(succinct);
  const [first] = names;
  if (first === undefined || (await areEnoughHere(session, first, succinct)))
    return { names, due: names.length };
  const ends = new Map<string, Instant>();
  for (const group of groupsOf(names, PUBLISHER_LIMITS.binsAtOnce))
    await beside(group, async (name) => {
      ends.set(name, (await loadBelow(crypto, fetcher, base, succinct, name)).expires);
    });
  const half = expires - LIFETIMES.vendor / 2;
  return {
    names: names.toSorted((a, b) => (ends.get(a) ?? 0) - (ends.get(b) ?? 0)),
    due: [...ends.values()].filter((end) => end < half).length,
  };
}

/** Reads the bins of a group and signs them; none of them when one says what was not signed here. */
async function signGroup(
  session: Session,
  { fetcher, base, succinct, expires, adopt, log }: GroupParts,
  group: readonly string[],
): Promise<SignedBelow[]> {
  const roles = new Map<string, RoleToSign>();
  await beside(group, async (name) => {
    const bin = await loadBelow(crypto, fetcher, base, succinct, name);
    if (!adopt && !log.knows(lineOf(crypto, name, bin))) throw foreign(name);
    roles.set(name, { tree: renewedRole(bin, expires), keys: succinct });
  });
  const signed = await signBelow(session, roles, log);
  demandSome(signed);
  return signed;
}

function* groupsOf<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}

function isWhole(bins: readonly SignedBelow[]): boolean {
  return isComplete({ own: undefined, nested: [], bins });
}

async function sendGroup(api: Api, signed: readonly SignedBelow[]): Promise<void> {
  const sender = new BatchSender(api);
  await sendRoles(api, sender, signed);
  await sender.flush();
}

function foreign(name: string): IronError {
  return new IronError('E_CONFLICT', `the bin ${name} says what was not signed in this folder`, {
    why: 'to renew it would be to vouch for what this machine has not seen before',
    hint: 'look at what is published; give --adopt if it is yours',
  });
}
