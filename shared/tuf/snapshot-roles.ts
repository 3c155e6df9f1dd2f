/**
 * The roles that a snapshot lists. One follows the other with the same names in the same order, and a
 * version or two that are higher; a large vendor has thousands of them. So the names, and the way from a
 * name to its place, are kept apart from the entries: a snapshot that is read after another of the same
 * names takes them from it.
 */

import type { MetaFile } from './meta-file.ts';

/** Names of roles, in the order in which a snapshot lists them. Nothing in it changes. */
export interface RoleNames {
  /** As they stand in the file: `acme.json`. */
  readonly files: readonly string[];
  readonly roles: readonly string[];
  /** By role, where in the list it is. */
  readonly places: ReadonlyMap<string, number>;
}

/** @param files names that end with `.json`, each once */
export function roleNames(files: readonly string[], before?: RoleNames): RoleNames {
  if (before !== undefined && isSame(before.files, files)) return before;
  const roles = files.map((file) => file.slice(0, -'.json'.length));
  return { files, roles, places: new Map(roles.map((role, place) => [role, place])) };
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((name, place) => name === b[place]));
}

/** By role name, without `.json`. */
export class SnapshotRoles implements ReadonlyMap<string, MetaFile> {
  readonly names: RoleNames;
  /** In the order of the names. */
  readonly listed: readonly MetaFile[];

  constructor(names: RoleNames, listed: readonly MetaFile[]) {
    this.names = names;
    this.listed = listed;
  }

  get size(): number {
    return this.listed.length;
  }

  get(role: string): MetaFile | undefined {
    const place = this.names.places.get(role);
    return place === undefined ? undefined : this.listed[place];
  }

  has(role: string): boolean {
    return this.names.places.has(role);
  }

  *entries(): Generator<[string, MetaFile], undefined> {
    const { roles } = this.names;
    for (let i = 0; i < roles.length; i++) yield [roles[i] as string, this.listed[i] as MetaFile];
  }

  *keys(): Generator<string, undefined> {
    yield* this.names.roles;
  }

  *values(): Generator<MetaFile, undefined> {
    yield* this.listed;
  }

  [Symbol.iterator](): Generator<[string, MetaFile], undefined> {
    return this.entries();
  }

  forEach(act: (file: MetaFile, role: string, map: ReadonlyMap<string, MetaFile>) => void): void {
    for (const [role, file] of this) act(file, role, this);
  }
}
