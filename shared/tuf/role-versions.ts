/**
 * The versions that a snapshot lists, by role, and what follows it, without a copy: one that lists
 * the bins of a large vendor has sixteen thousand, of which a publication changes a few.
 */

import type { MetaFile } from './meta-file.ts';
import { SnapshotRoles } from './snapshot-roles.ts';

type Listed = ReadonlyMap<string, Pick<MetaFile, 'version'>>;

const NOTHING: ReadonlyMap<string, number> = new Map();

function isLower(one: MetaFile, other: MetaFile | undefined): boolean {
  return one !== other && other !== undefined && one.version < other.version;
}

/** What `listed` says, with `changed` in the place of it; roles that are new come last. */
export class RoleVersions implements ReadonlyMap<string, number> {
  readonly #listed: Listed;
  readonly #changed: ReadonlyMap<string, number>;
  readonly size: number;

  constructor(listed: Listed, changed: ReadonlyMap<string, number> = NOTHING) {
    this.#listed = listed;
    this.#changed = changed;
    let size = listed.size;
    for (const role of changed.keys()) if (!listed.has(role)) size += 1;
    this.size = size;
  }

  /**
   * The roles of `before` that this lists at a lower version, or not at all: undefined for the latter.
   * Both are mostly snapshots of the same roles, which are then compared place by place.
   */
  *wentBack(
    before: ReadonlyMap<string, number>,
  ): Generator<{ role: string; version: number; offered: number | undefined }, undefined> {
    const [ours, theirs] = [this.#plain(), before instanceof RoleVersions && before.#plain()];
    const isComparable = ours && theirs && ours.names === theirs.names;
    if (isComparable && ours.listed.every((one, i) => !isLower(one, theirs.listed[i]))) return;
    for (const [role, version] of before) {
      const offered = this.get(role);
      if (offered === undefined || offered < version) yield { role, version, offered };
    }
  }

  /** What a snapshot lists, when this is that and nothing else. */
  #plain(): SnapshotRoles | undefined {
    const isPlain = this.#changed.size === 0 && this.#listed instanceof SnapshotRoles;
    return isPlain ? (this.#listed as SnapshotRoles) : undefined;
  }

  get(role: string): number | undefined {
    return this.#changed.get(role) ?? this.#listed.get(role)?.version;
  }

  has(role: string): boolean {
    return this.#changed.has(role) || this.#listed.has(role);
  }

  *entries(): Generator<[string, number], undefined> {
    const hasChanges = this.#changed.size > 0;
    for (const [role, { version }] of this.#listed)
      yield [role, hasChanges ? (this.#changed.get(role) ?? version) : version];
    for (const [role, version] of this.#changed) if (!this.#listed.has(role)) yield [role, version];
  }

  *keys(): Generator<string, undefined> {
    yield* this.#listed.keys();
    for (const role of this.#changed.keys()) if (!this.#listed.has(role)) yield role;
  }

  *values(): Generator<number, undefined> {
    for (const [, version] of this) yield version;
  }

  [Symbol.iterator](): Generator<[string, number], undefined> {
    return this.entries();
  }

  forEach(act: (version: number, role: string, map: ReadonlyMap<string, number>) => void): void {
    for (const [role, version] of this) act(version, role, this);
  }
}
