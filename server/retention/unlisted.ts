/** Targets that no live snapshot lists, and until when their bytes must stay. */

import { join } from 'node:path';
import { tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { parseSnapshot, type Snapshot } from '../../shared/tuf/snapshot.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import { blobsOf, roleFiles } from '../storage/blobs.ts';
import type { Published } from '../storage/published.ts';
import { type RolePromise, RolePromises } from './promises.ts';

export interface Unlisted extends RolePromise {
  readonly path: string;
  readonly sha256: string;
  readonly length: number;
}

type RoleFile = Awaited<ReturnType<typeof roleFiles>>[number];

/** By place in the tree, whether the bytes are there still or not. Reads all of the history. */
export async function unlistedTargets(published: Published): Promise<Map<string, Unlisted>> {
  const { folder } = published;
  const files = await roleFiles(folder);
  const promises = await readPromises(published, files);
  const roles = new Map<string, RoleFile[]>();
  for (const file of files)
    if (!file.isTopLevel) roles.set(file.role, [...(roles.get(file.role) ?? []), file]);
  const unlisted = new Map<string, Unlisted>();
  const live: RoleFile[] = [];
  for (const [role, versions] of roles) {
    const isLive = ({ version }: RoleFile): boolean =>
      promises.of(role, version).until === Number.POSITIVE_INFINITY &&
      promises.of(role, version).listed === Number.POSITIVE_INFINITY;
    const standing = versions.filter(isLive);
    live.push(...standing);
    // Most of what older versions list, the last one lists as well: it need not be remembered.
    const listed = new Set<string>();
    for (const file of standing)
      for (const { path, sha256 } of await blobsIn(folder, file))
        listed.add(tree.target(path, sha256));
    for (const file of versions) {
      if (isLive(file)) continue;
      const promise = promises.of(role, file.version);
      for (const { path, sha256, length } of await blobsIn(folder, file)) {
        const place = tree.target(path, sha256);
        if (listed.has(place)) continue;
        const known = unlisted.get(place);
        unlisted.set(place, {
          ...{ path, sha256, length },
          listed: Math.max(promise.listed, known?.listed ?? promise.listed),
          until: Math.max(promise.until, known?.until ?? promise.until),
        });
      }
    }
  }
  if (unlisted.size === 0) return unlisted;
  // What one role gave up another may list: a vendor's targets that moved into bins.
  for (const file of live)
    for (const { path, sha256 } of await blobsIn(folder, file))
      unlisted.delete(tree.target(path, sha256));
  return unlisted;
}

async function blobsIn(folder: string, { path, role }: RoleFile) {
  const bytes = await readFileCapped(join(folder, path), METADATA_LIMITS.targets, {
    nofollow: true,
  });
  return blobsOf(parseTargets(bytes, role), role);
}

async function readPromises(
  { folder, snapshot: { version: current } }: Published,
  files: readonly RoleFile[],
): Promise<RolePromises> {
  const snapshots = new Map<number, Snapshot>();
  const targets = new Map<number, Targets>();
  for (const { path, role, version } of files) {
    if (role !== 'snapshot' && role !== 'targets') continue;
    const bytes = await readFileCapped(join(folder, path), METADATA_LIMITS.targets, {
      nofollow: true,
    });
    if (role === 'targets') targets.set(version, parseTargets(bytes, 'targets'));
    else if (version <= current) snapshots.set(version, parseSnapshot(bytes));
  }
  return new RolePromises(snapshots, targets, current);
}
