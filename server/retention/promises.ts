/**
 * Until when readers were promised the bytes of what a role listed. Each snapshot names the targets
 * that stood with it, and these the window: so each snapshot carries its own promise, and a window
 * that is shortened later takes nothing from those who were promised more. All of it is signed, and
 * reads the same on every copy of the tree and after each restore; no time of a file counts. What
 * cannot be read ended no promise: a file that was lost takes nothing from anybody.
 */

import type { Instant } from '../../shared/time.ts';
import { parseRetention } from '../../shared/tuf/retention.ts';
import type { Snapshot } from '../../shared/tuf/snapshot.ts';
import type { Targets } from '../../shared/tuf/targets.ts';

export interface RolePromise {
  /** Expiry of the last snapshot that listed this version; never, while it is listed. */
  readonly listed: Instant;
  /** Until when its bytes were promised; never ends without a window. */
  readonly until: Instant;
}

export interface RoleVersion {
  readonly role: string;
  readonly version: number;
}

const FOR_EVER: RolePromise = {
  listed: Number.POSITIVE_INFINITY,
  until: Number.POSITIVE_INFINITY,
};
/** No snapshot ever listed it, so nobody was sent to its targets. */
const NEVER: RolePromise = { listed: 0, until: 0 };

/** By version of the operators' targets that can be read, the window that they name, if they do. */
export type Windows = ReadonlyMap<number, number | undefined>;

/** Where history begins and ends: versions of the first snapshot of the tree and of the one that stands. */
export interface SnapshotRange {
  readonly first: number;
  readonly current: number;
}

export class RolePromises {
  readonly #roles = new Map<string, Map<number, RolePromise>>();
  /** Versions that some snapshot may have listed which cannot be read, from the first to the last. */
  readonly #unknown = new Map<string, (readonly [number, number])[]>();
  readonly #lost: number[] = [];
  readonly #windows: Windows;
  readonly #range: SnapshotRange;
  #current: Snapshot | undefined;
  /** The snapshot that came last, which is older than all before it. */
  #oldest: Snapshot | undefined;
  /** The window that the next later snapshot promises, and what it is counted from before that. */
  #next: number | undefined;
  #from = Number.NEGATIVE_INFINITY;

  constructor(windows: Windows, range: SnapshotRange) {
    this.#windows = windows;
    this.#range = range;
  }

  /**
   * The promises of a history that is in memory.
   * @param snapshots every snapshot that can be read, by version
   * @param targets every file of the operators' targets that can be read, by version
   */
  static of(
    snapshots: ReadonlyMap<number, Snapshot>,
    targets: ReadonlyMap<number, Targets>,
    range: SnapshotRange,
  ): RolePromises {
    const windows = new Map([...targets].map(([version, file]) => [version, windowOf(file)]));
    const promises = new RolePromises(windows, range);
    for (const [, snapshot] of [...snapshots].sort(([a], [b]) => b - a)) promises.take(snapshot);
    promises.end();
    return promises;
  }

  /** Adds what a snapshot promised. They come newest first; none is kept when the next has come. */
  take(snapshot: Snapshot): void {
    const newer = this.#oldest;
    this.#oldest = snapshot;
    if (snapshot.version === this.#range.current) this.#current = snapshot;
    if (newer !== undefined && newer.version - snapshot.version > 1) {
      this.#miss(snapshot.version + 1, snapshot, newer);
      // What these promised may be the window of those before.
      this.#forget();
    }
    const targets = snapshot.roles.get('targets')?.version ?? 0;
    const own = this.#windows.get(targets);
    if (!this.#windows.has(targets)) this.#forget();
    else if (own !== undefined) [this.#next, this.#from] = [own, Number.NEGATIVE_INFINITY];
    // Without a window of its own, it has the first that was published after it, which counts
    // from the last snapshot that had none: nobody is surprised by a rule made later.
    else this.#from = Math.max(this.#from, snapshot.expires);
    const from = own === undefined ? this.#from : snapshot.expires;
    const until =
      this.#next === undefined
        ? Number.POSITIVE_INFINITY
        : Math.max(snapshot.expires, from) + this.#next;
    for (const [role, { version: listed }] of snapshot.roles)
      this.#take(role, listed, { listed: snapshot.expires, until });
  }

  /** There is none before those that came. */
  end(): void {
    const oldest = this.#oldest;
    const { first } = this.#range;
    if (oldest !== undefined && oldest.version > first) this.#miss(first, undefined, oldest);
  }

  #forget(): void {
    [this.#next, this.#from] = [undefined, Number.NEGATIVE_INFINITY];
  }

  #take(role: string, version: number, { listed, until }: RolePromise): void {
    const versions = this.#roles.get(role) ?? new Map<number, RolePromise>();
    this.#roles.set(role, versions);
    const known = versions.get(version) ?? NEVER;
    versions.set(version, {
      listed: Math.max(known.listed, listed),
      until: Math.max(known.until, until),
    });
  }

  /** Snapshots from `version` on are not there; versions only rise (TUF 5.5.5) from one to the other. */
  #miss(version: number, before: Snapshot | undefined, after: Snapshot | undefined): void {
    this.#lost.push(version);
    for (const [role, { version: last }] of after?.roles ?? []) {
      const range = [before?.roles.get(role)?.version ?? 0, last] as const;
      this.#unknown.set(role, [...(this.#unknown.get(role) ?? []), range]);
    }
  }

  /** What was promised of this version of a role; of one that will be listed, for ever. */
  of(role: string, version: number): RolePromise {
    const standing = this.#current?.roles.get(role)?.version;
    if (this.#current === undefined || standing === undefined || version >= standing)
      return FOR_EVER;
    if (this.#unknown.get(role)?.some(([from, to]) => from <= version && version <= to) === true)
      return FOR_EVER;
    return this.#roles.get(role)?.get(version) ?? NEVER;
  }

  /** Snapshots that are not there: of several in a row the first. */
  get lost(): readonly number[] {
    return this.#lost;
  }

  /** Every version of a role that some snapshot lists. */
  *listed(): Generator<RoleVersion> {
    for (const [role, versions] of this.#roles)
      for (const version of versions.keys()) yield { role, version };
  }
}

/** The window that the operators' targets name. */
export function windowOf(targets: Targets): number | undefined {
  return parseRetention(targets.envelope.signed)?.window;
}
