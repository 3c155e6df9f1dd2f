/**
 * What a submission changes of a vendor's branch, path by path. Whatever is judged beyond single
 * files is judged by this: its size goes with what changes, not with what is published.
 */

import { Node } from '../../shared/json/decode.ts';
import { sidecarOf } from '../../shared/layout.ts';
import type { TargetEntry } from '../../shared/tuf/targets.ts';
import { type Branch, sameEntry } from './branch.ts';
import { isArtifact } from './checks/artifacts.ts';

export class Delta {
  readonly #branch: Branch;
  /** Entries that are new or other than the published ones, by path. */
  readonly changed = new Map<string, TargetEntry>();
  /** Paths that are published and no longer listed. */
  readonly removed = new Set<string>();

  constructor(branch: Branch) {
    this.#branch = branch;
  }

  /** Takes an entry of a new file; `before` is what is published of its path. True when it differs. */
  take(entry: TargetEntry, before: TargetEntry | undefined): boolean {
    if (sameEntry(before, entry)) return false;
    this.changed.set(entry.path, detached(entry));
    return true;
  }

  /** A path that its role no longer lists. */
  drop(path: string): void {
    if (!this.changed.has(path)) this.removed.add(path);
  }

  /** The entry of a path as it will be. */
  async entry(path: string): Promise<TargetEntry | undefined> {
    const changed = this.changed.get(path);
    if (changed !== undefined || this.removed.has(path)) return changed;
    return await this.#branch.entry(path);
  }

  /** Artifacts that changed, or one of whose sidecars did. */
  artifacts(): Set<string> {
    const paths = new Set<string>();
    for (const path of [...this.changed.keys(), ...this.removed]) {
      const owner = sidecarOf(path)?.artifact ?? path;
      if (isArtifact(owner)) paths.add(owner);
    }
    return paths;
  }
}

/** Without the file that it stands in, which need not stay in memory for it. */
function detached(entry: TargetEntry): TargetEntry {
  const { custom } = entry;
  return custom === undefined ? entry : { ...entry, custom: new Node(custom.value, custom.path) };
}
