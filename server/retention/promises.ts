/**
 * Until when readers were promised the bytes of what a role listed. Each snapshot names the targets
 * that stood with it, and these the window: so each snapshot carries its own promise, and a window
 * that is shortened later takes nothing from those who were promised more. All of it is signed, and
 * reads the same on every copy of the tree and after each restore; no time of a file counts.
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

const LIVE: RolePromise = {
  listed: Number.POSITIVE_INFINITY,
  until: Number.POSITIVE_INFINITY,
};
/** No snapshot ever listed it, so nobody was sent to its targets. */
const NEVER: RolePromise = { listed: 0, until: 0 };

export class RolePromises {
  readonly #roles = new Map<string, Map<number, RolePromise>>();
  readonly #current: Snapshot | undefined;

  /**
   * @param snapshots every snapshot, by version
   * @param targets every file of the operators' targets, by version
   * @param current the version of the snapshot that stands
   */
  constructor(
    snapshots: ReadonlyMap<number, Snapshot>,
    targets: ReadonlyMap<number, Targets>,
    current: number,
  ) {
    this.#current = snapshots.get(current);
    const ordered = [...snapshots].sort(([a], [b]) => b - a).map(([, snapshot]) => snapshot);
    /** The window that the next later snapshot promises, and what it is counted from before that. */
    let next: number | undefined;
    let from = Number.NEGATIVE_INFINITY;
    for (const snapshot of ordered) {
      const own = windowOf(targets.get(snapshot.roles.get('targets')?.version ?? 0));
      if (own !== undefined) [next, from] = [own, Number.NEGATIVE_INFINITY];
      // Without a window of its own, it has the first that was published after it, which counts
      // from the last snapshot that had none: nobody is surprised by a rule made later.
      else from = Math.max(from, snapshot.expires);
      const until =
        next === undefined
          ? Number.POSITIVE_INFINITY
          : Math.max(snapshot.expires, own === undefined ? from : snapshot.expires) + next;
      for (const [role, { version }] of snapshot.roles)
        this.#take(role, version, { listed: snapshot.expires, until });
    }
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

  /** What was promised of this version of a role; of one that will be listed, for ever. */
  of(role: string, version: number): RolePromise {
    const standing = this.#current?.roles.get(role)?.version;
    if (this.#current === undefined || standing === undefined || version >= standing) return LIVE;
    return this.#roles.get(role)?.get(version) ?? NEVER;
  }
}

/** Targets that cannot be read promise nothing, which is for ever. */
function windowOf(targets: Targets | undefined): number | undefined {
  return targets === undefined ? undefined : parseRetention(targets.envelope.signed)?.window;
}
