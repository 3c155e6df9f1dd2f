/**
 * Several places that serve one repository. Each piece of work is done from one of them, whole; what
 * a mirror cannot do, or does wrong, costs another try at the next one. One thing alone passes from
 * mirror to mirror: a verified timestamp, because what is older than it may not be accepted any more
 * (TUF 5.4.3). Trust does not depend on which of them answered (ADR 0020).
 */

import { type Code, IronError, isIronError } from '../../shared/errors.ts';
import { parseTimestamp } from '../../shared/tuf/timestamp.ts';
import type { Completed } from '../store/completed.ts';
import type { Fetcher } from './fetcher.ts';
import { MirrorView } from './mirror-view.ts';

/**
 * What another mirror may do better, the most telling first: what a state says that verified; then
 * what only the repository itself can have signed; then what anybody can send; then silence.
 */
const ELSEWHERE: readonly Code[] = [
  'E_TARGET_UNKNOWN',
  'E_ROLLBACK',
  'E_EXPIRED',
  'E_REVOCATIONS_STALE',
  'E_REVOCATIONS_MISSING',
  'E_MIX_AND_MATCH',
  // Only `Mirrors` itself says this: see `inBetween`.
  'E_TRY_AGAIN',
  'E_THRESHOLD',
  'E_REVOCATIONS',
  'E_VERSION',
  'E_HASH',
  'E_LENGTH',
  'E_SCHEMA',
  'E_KEY',
  'E_NAME',
  'E_JSON',
  'E_TOO_LARGE',
  'E_NOT_FOUND',
  'E_SLOW',
  'E_NETWORK',
];

/** Whether `error` may be one mirror's alone. A full disk or a missing pin is not. */
export function isElsewhere(error: unknown): error is IronError {
  return isIronError(error, ...ELSEWHERE);
}

export interface MirrorsOptions {
  /** Told of each mirror that is left for the next one. */
  readonly onLeft?: ((text: string) => void) | undefined;
  /** The last update that this host has whole, read before the work begins. */
  readonly completed?: (() => Promise<() => Completed | undefined>) | undefined;
}

interface Refusal {
  readonly mirror: Fetcher;
  readonly error: IronError;
  /** The mirror's timestamp, when that was what was refused. */
  readonly refused: Uint8Array | undefined;
}

/** One piece of work: what became of it so far. */
interface Work<T> {
  readonly act: (mirror: Fetcher) => Promise<T>;
  readonly refusals: Refusal[];
  /** The newest timestamp that the workflow accepted from a mirror that then lacked something. */
  newest: Uint8Array | undefined;
}

export class Mirrors {
  readonly #all: readonly Fetcher[];
  readonly #options: MirrorsOptions;
  /** Where the next piece of work begins: the mirror that served last. A preference, never trust. */
  #first = 0;

  /** In the order in which they are asked, at least one. */
  constructor(all: readonly Fetcher[], options: MirrorsOptions = {}) {
    this.#all = all;
    this.#options = options;
  }

  /**
   * Does `act` from one mirror, and again from the next one when that fails with what another may
   * do better. When all of them fail, the most telling of their errors is thrown, with the word of
   * each. `act` must leave nothing behind that was not verified.
   */
  async over<T>(act: (mirror: Fetcher) => Promise<T>): Promise<T> {
    const [only, ...others] = this.#all;
    if (only !== undefined && others.length === 0) return act(only);
    const completed = await this.#options.completed?.();
    const work: Work<T> = { act, refusals: [], newest: undefined };
    const first = this.#first;
    for (let tries = 0; tries < this.#all.length; tries++) {
      const at = (first + tries) % this.#all.length;
      const mirror = this.#all[at] as Fetcher;
      this.#tellOfLast(work.refusals, `asking ${mirror.origin}`);
      const done = await attempt(work, mirror);
      if (done === undefined) continue;
      this.#first = at;
      return done.result;
    }
    const done = await this.#again(work);
    if (done !== undefined) return done.result;
    throw ofAll(work.refusals.map((refusal) => inBetween(refusal, completed?.())));
  }

  /** Ends idle connections. */
  async close(): Promise<void> {
    for (const mirror of this.#all) await mirror.close?.();
  }

  /**
   * A mirror that copies the timestamp last has what a newer one names before it has that one
   * itself. So those whose timestamp was too old are asked once more, under the newest that was
   * accepted from another: either they have all of that state, or they are refused again.
   */
  async #again<T>(work: Work<T>): Promise<{ readonly result: T } | undefined> {
    const { newest } = work;
    if (newest === undefined) return undefined;
    for (const [at, { mirror, refused }] of [...work.refusals.entries()]) {
      if (refused === undefined) continue;
      this.#tellOfLast(work.refusals, `asking ${mirror.origin} for what a newer timestamp names`);
      const own = work.refusals[at] as Refusal;
      const done = await attempt(work, mirror, newest);
      if (done !== undefined) return done;
      // Its own word stays: the other one is about a timestamp that it never served.
      work.refusals.pop();
      work.refusals[at] = own;
    }
    return undefined;
  }

  #tellOfLast(refusals: readonly Refusal[], next: string): void {
    const last = refusals.at(-1);
    if (last !== undefined) this.#options.onLeft?.(`${wordOf(last)}; ${next}`);
  }
}

/** One try; undefined when it failed with what another mirror may do better. */
async function attempt<T>(
  work: Work<T>,
  mirror: Fetcher,
  standIn?: Uint8Array,
): Promise<{ readonly result: T } | undefined> {
  const view = new MirrorView(mirror, standIn);
  try {
    return { result: await work.act(view) };
  } catch (error) {
    if (!isElsewhere(error)) throw error;
    // Each one accepted is at least as new as those before it: the floors saw to that.
    work.newest = view.accepted ?? work.newest;
    work.refusals.push({ mirror, error, refused: view.refusedTimestamp(error) });
    return undefined;
  }
}

/**
 * A timestamp that is older than one that was seen, and not older than the last update that this
 * host has whole, is no attack's doing: another mirror has shown the newer one and could not
 * complete it. It is refused all the same; only its name is another.
 */
function inBetween(refusal: Refusal, completed: Completed | undefined): Refusal {
  const { error, refused, mirror } = refusal;
  if (completed === undefined || refused === undefined || error.code !== 'E_ROLLBACK') {
    return refusal;
  }
  // It was verified before its age was looked at (TUF 5.4.2).
  const offered = parseTimestamp(refused);
  const isOlder =
    offered.version < completed.timestamp || offered.snapshot.version < completed.snapshot;
  if (isOlder) return refusal;
  return {
    ...refusal,
    error: new IronError('E_TRY_AGAIN', 'the mirrors are in the middle of an update', {
      why: `${mirror.origin} has timestamp ${offered.version} still, which is older than one that was seen and is refused`,
      hint: 'nothing old was accepted, and what this host has stays as it is; try again in a few minutes, or name another mirror',
      cause: error,
      context: error.context,
    }),
  };
}

/** The most telling of the errors, with the word of each mirror. */
function ofAll(refusals: readonly Refusal[]): IronError {
  const rank = ({ error }: Refusal): number => ELSEWHERE.indexOf(error.code);
  const [worst] = [...refusals].sort((a, b) => rank(a) - rank(b));
  if (worst === undefined) throw new TypeError('a repository without a single mirror');
  const { error } = worst;
  const words = refusals.map(wordOf).join('; ');
  return new IronError(error.code, error.message, {
    why: `${error.why === undefined ? '' : `${error.why}; `}no mirror served it: ${words}`,
    hint: error.hint ?? 'nothing was changed',
    cause: error,
    context: { ...error.context, mirror: worst.mirror.origin, mirrors: refusals.length },
  });
}

function wordOf({ mirror, error }: Refusal): string {
  return `${mirror.origin} was left with ${error.code}, ${error.message}`;
}
