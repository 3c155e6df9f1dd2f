/** Targets that no live snapshot lists, and until when their bytes must stay. */

import { join } from 'node:path';
import { IronError, isIronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { parseSnapshot, type Snapshot } from '../../shared/tuf/snapshot.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import { blobsOf, mayList, roleFiles } from '../storage/blobs.ts';
import { loadImported } from '../storage/imported.ts';
import type { Published } from '../storage/published.ts';
import { type RolePromise, RolePromises } from './promises.ts';

export interface Unlisted extends RolePromise {
  readonly path: string;
  readonly sha256: string;
  readonly length: number;
}

type RoleFile = Awaited<ReturnType<typeof roleFiles>>[number];

/**
 * By place in the tree, whether the bytes are there still or not. Reads all of the history, every role
 * that may list targets. `E_STORE` when a part of it cannot be read: what it listed, and for how
 * long, nobody knows.
 */
export async function unlistedTargets(published: Published): Promise<Map<string, Unlisted>> {
  const { folder } = published;
  const files = await roleFiles(folder);
  const promises = await readPromises(published, files);
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

async function blobsIn(folder: string, file: RoleFile) {
  const { role } = file;
  return blobsOf(await readRole(folder, file, (bytes) => parseTargets(bytes, role)), role);
}

async function readPromises(
  { folder, snapshot: { version: current } }: Published,
  files: readonly RoleFile[],
): Promise<RolePromises> {
  const snapshots = new Map<number, Snapshot>();
  const targets = new Map<number, Targets>();
  for (const file of files) {
    const { role, version } = file;
    if (role === 'targets')
      targets.set(version, await readRole(folder, file, (bytes) => parseTargets(bytes, role)));
    else if (role === 'snapshot' && version <= current)
      snapshots.set(version, await readRole(folder, file, parseSnapshot));
  }
  const first = (await loadImported(folder))?.first.snapshot ?? 1;
  const promises = new RolePromises(snapshots, targets, { first, current });
  demandWhole(promises, files);
  return promises;
}

/** Metadata is never collected, so whatever a snapshot lists is there, and so are all snapshots. */
function demandWhole(promises: RolePromises, files: readonly RoleFile[]): void {
  for (const version of promises.lost)
    throw unreadable(tree.metadata('snapshot', version), 'it is not there');
  const there = new Set(files.map(({ path }) => path));
  for (const { role, version } of promises.listed()) {
    const path = tree.metadata(role, version);
    if (!there.has(path)) throw unreadable(path, 'a snapshot lists it, and it is not there');
  }
}

async function readRole<T extends { readonly version: number }>(
  folder: string,
  { path, version }: RoleFile,
  parse: (bytes: Uint8Array) => T,
): Promise<T> {
  const options = { nofollow: true };
  const bytes = await readFileCapped(join(folder, path), METADATA_LIMITS.targets, options);
  let file: T;
  try {
    file = parse(bytes);
  } catch (error) {
    if (!isIronError(error, 'E_JSON', 'E_SCHEMA', 'E_TOO_LARGE', 'E_NAME')) throw error;
    throw unreadable(path, error.message, error);
  }
  if (file.version !== version)
    throw unreadable(path, `it says that it is version ${file.version}`);
  return file;
}

function unreadable(path: string, why: string, cause?: unknown): IronError {
  return new IronError('E_STORE', `what ${path} promised cannot be read`, {
    why,
    hint: 'nothing was collected; put the file back from a backup or a mirror. `ironport-repo fsck` lists all that is wrong',
    cause,
    context: { path },
  });
}
