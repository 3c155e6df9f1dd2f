/** The signed history, folded file by file: of a thousand snapshots one is in memory at a time. */

import { join } from 'node:path';
import { IronError, isIronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import type { Instant } from '../../shared/time.ts';
import { parseSnapshot } from '../../shared/tuf/snapshot.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import type { roleFiles } from '../storage/blobs.ts';
import { loadImported } from '../storage/imported.ts';
import { Gaps } from './gaps.ts';
import { RolePromises, windowOf } from './promises.ts';

export type RoleFile = Awaited<ReturnType<typeof roleFiles>>[number];

export interface History {
  readonly promises: RolePromises;
  readonly gaps: Gaps;
}

/**
 * What all snapshots up to the one that stands promised together. `E_STORE` when one of them is not
 * there, or a file that one of them lists.
 * @param files of the tree in `folder`, those of a role in the order of their versions
 * @param current version of the snapshot that stands
 */
export async function readHistory(
  folder: string,
  files: readonly RoleFile[],
  current: number,
): Promise<History> {
  const windows = new Map<number, number | undefined>();
  for (const file of files) {
    if (file.role !== 'targets') continue;
    const targets = await readRole(folder, file, (bytes) => parseTargets(bytes, file.role));
    windows.set(file.version, windowOf(targets));
  }
  const first = (await loadImported(folder))?.first.snapshot ?? 1;
  // What the snapshots before promised would be no promise of the row that stands.
  if (current < first)
    throw unreadable(
      tree.metadata('snapshot', first),
      `snapshot ${current} stands, which is older`,
    );
  const promises = new RolePromises(windows, { first, current });
  const expiries: Instant[] = [];
  for (const file of files.toReversed()) {
    if (file.role !== 'snapshot' || file.version > current) continue;
    const snapshot = await readRole(folder, file, parseSnapshot);
    promises.take(snapshot);
    expiries.push(snapshot.expires);
  }
  promises.end();
  demandWhole(promises, files);
  return { promises, gaps: new Gaps(expiries.reverse()) };
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

/** A file of the history, which says what its name says. `E_STORE` when that cannot be read. */
export async function readRole<T extends { readonly version: number }>(
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
