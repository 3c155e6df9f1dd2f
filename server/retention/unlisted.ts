/** Targets that no live snapshot lists, and until when their bytes must stay. */

import { tree } from '../../shared/layout.ts';
import { vendorOfRole } from '../../shared/tuf/names.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { blobsOf, mayList, roleFiles } from '../storage/blobs.ts';
import type { Published } from '../storage/published.ts';
import { type RoleFile, readHistory, readRole } from './history.ts';
import type { RolePromise } from './promises.ts';

export interface Unlisted extends RolePromise {
  readonly path: string;
  readonly sha256: string;
  readonly length: number;
  /** Whose role listed it last. */
  readonly vendor: string;
  /** Seconds since `listed` that nothing signed bears out (gaps.ts). */
  readonly gap: number;
}

/**
 * By place in the tree, whether the bytes are there still or not. Reads all of the history, every role
 * that may list targets. `E_STORE` when a part of it cannot be read: what it listed, and for how
 * long, nobody knows.
 */
export async function unlistedTargets(
  published: Pick<Published, 'folder' | 'snapshot'>,
): Promise<Map<string, Unlisted>> {
  const { folder } = published;
  const files = await roleFiles(folder);
  const { promises, gaps } = await readHistory(folder, files, published.snapshot.version);
  const roles = new Map<string, RoleFile[]>();
  for (const file of files)
    if (mayList(file)) roles.set(file.role, [...(roles.get(file.role) ?? []), file]);
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
      const gap = gaps.since(promise.listed);
      for (const { path, sha256, length } of await blobsIn(folder, file)) {
        const place = tree.target(path, sha256);
        if (listed.has(place)) continue;
        const known = unlisted.get(place);
        unlisted.set(place, {
          ...{ path, sha256, length, vendor: vendorOfRole(role) },
          listed: Math.max(promise.listed, known?.listed ?? promise.listed),
          until: Math.max(promise.until, known?.until ?? promise.until),
          gap: Math.max(gap, known?.gap ?? gap),
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

async function blobsIn(folder: string, file: RoleFile) {
  const { role } = file;
  return blobsOf(await readRole(folder, file, (bytes) => parseTargets(bytes, role)), role);
}
