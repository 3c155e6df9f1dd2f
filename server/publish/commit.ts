/**
 * Makes a staged publication visible: every file appears whole under a name that nothing had, and
 * last of all the timestamp is replaced, which is the instant at which it is published. Doing it
 * twice does nothing more, so a crash anywhere in it is finished by doing it again.
 */

import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { equalBytes, toHex } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { beside } from '../../shared/node/beside.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { readFileCapped, syncFolder, temporaryName } from '../../shared/node/files.ts';
import { hashFile } from '../../shared/node/hash.ts';
import { promptFiles } from '../../shared/node/prompt-files.ts';
import { syncAll } from '../../shared/node/sync.ts';
import type { Publication } from '../db/journal.ts';
import { readMetadata } from '../storage/published.ts';
import { exists } from './exists.ts';
import { listFiles } from './list-files.ts';
import { type PublishParts, scratchOf, stagingOf } from './parts.ts';
import { addName } from './second-name.ts';
import { type PlacedTarget, readTargetList } from './target-list.ts';

/** Places every staged file. Throws `E_CONFLICT` when the tree moved under the publication. */
export async function placeFiles(parts: PublishParts, publication: Publication): Promise<void> {
  const staging = stagingOf(parts, publication.id);
  const staged = await readFileCapped(join(staging, tree.timestamp), METADATA_LIMITS.timestamp, {
    files: promptFiles,
  });
  const { before, after } = order(await listFiles(staging), publication.rootLast);
  const at = (path: string): PlacedTarget => ({ place: path, from: join(staging, path) });
  await fence(parts, publication, staged);
  const targets = await readTargetList(parts, publication.id);
  await placeAll(parts, publication.id, targets, before.map(at));
  // Fenced once more: this is the step that cannot be taken back.
  if (await fence(parts, publication, staged)) {
    await showTimestamp(parts, staging, publication.id);
  }
  await parts.observe('visible');
  await placeAll(parts, publication.id, [], after.map(at));
}

/**
 * Whether the timestamp still has to be replaced. It must be the one on which the publication was
 * built, or the publication's own; any other says that somebody else wrote.
 */
async function fence(
  parts: PublishParts,
  { base }: Publication,
  staged: Uint8Array,
): Promise<boolean> {
  const cap = METADATA_LIMITS.timestamp;
  const standing = await readMetadata(parts.current.folder, tree.timestamp, cap);
  if (standing !== undefined && equalBytes(standing, staged)) return false;
  const found = standing === undefined ? '' : toHex(parts.crypto.sha256(standing));
  if (found === base) return true;
  throw new IronError('E_CONFLICT', 'the published timestamp is not the one it was built on', {
    why: 'another process wrote into the tree',
    hint: 'nothing was published; let one service alone write, and run `ironport-repo fsck`',
    context: { expected: base, found },
  });
}

/** Tree paths, in the order in which they appear, without the timestamp. */
function order(files: readonly string[], rootLast: boolean): { before: string[]; after: string[] } {
  const rank = (path: string): number =>
    path.startsWith(`${tree.targetsFolder}/`) ? 0 : isSnapshot(path) ? 2 : isRoot(path) ? 3 : 1;
  const sorted = files
    .filter((path) => path !== tree.timestamp)
    // Roots one after the other, by number: a reader follows them one by one.
    .sort((a, b) => rank(a) - rank(b) || versionOf(a) - versionOf(b) || (a < b ? -1 : 1));
  return rootLast
    ? { before: sorted.filter((path) => !isRoot(path)), after: sorted.filter(isRoot) }
    : { before: sorted, after: [] };
}

const isRoot = (path: string): boolean => /^metadata\/\d+\.root\.json$/.test(path);
const isSnapshot = (path: string): boolean => /^metadata\/\d+\.snapshot\.json$/.test(path);
const versionOf = (path: string): number => Number(/^metadata\/(\d+)\./.exec(path)?.[1] ?? 0);

/**
 * Lets the staged timestamp, which is durable, take the place of the one that stands. This is the
 * instant of publication; it returns when that is durable, too.
 */
async function showTimestamp(parts: PublishParts, staging: string, id: string): Promise<void> {
  const place = join(parts.current.folder, tree.timestamp);
  const temporary = join(dirname(place), temporaryName(id));
  await onPath(place, async () => {
    await promptFiles.link(join(staging, tree.timestamp), temporary).catch((error) => {
      // A crash left it: the very same file.
      if (!isErrno(error) || error.code !== 'EEXIST') throw error;
    });
    await promptFiles.rename(temporary, place);
    await syncFolder(dirname(place), promptFiles);
  });
}

/** Targets in any order, then metadata, each after the one before it; all of it durable on return. */
async function placeAll(
  parts: PublishParts,
  id: string,
  targets: readonly PlacedTarget[],
  metadata: readonly PlacedTarget[],
): Promise<void> {
  const { folder } = parts.current;
  const touched = new Set<string>();
  for (const { place } of [...targets, ...metadata]) {
    if (touched.has(join(folder, dirname(place)))) continue;
    const made = join(folder, dirname(place));
    await onPath(made, () => promptFiles.makeFolder(made));
    // Every folder down to this file: a new one is a name in the one above it.
    for (let at = dirname(place); at !== '.'; at = dirname(at)) touched.add(join(folder, at));
  }
  // A name that was collected and is listed again has its old bytes again, and no mark.
  const hasMarks = targets.length > 0 && (await exists(join(folder, tree.collectedFolder)));
  const put = async ({ place: path, from }: PlacedTarget): Promise<void> => {
    const place = join(folder, path);
    await onPath(place, () => placeFile(from, place, scratchOf(parts, id)));
    const mark = hasMarks ? tree.mark(path) : undefined;
    if (mark !== undefined) await rm(join(folder, mark), { force: true });
    await parts.observe(`placed ${path}`);
  };
  await beside(targets, put);
  for (const file of metadata) await put(file);
  if (touched.size > 0) touched.add(folder);
  await syncAll(folder, [...touched]);
}

/** A second name for the staged file. What has the name already must be the same bytes. */
async function placeFile(from: string, place: string, scratch: string): Promise<void> {
  try {
    await addName(from, place, scratch);
  } catch (error) {
    if (!isErrno(error) || error.code !== 'EEXIST') throw error;
    if (!(await isSame(from, place))) throw taken(place);
  }
}

/**
 * Throws `E_NOT_FOUND` when bytes that are to be placed are gone, and `E_EXISTS` when a name that
 * the publication needs is taken by other bytes: what somebody
 * put into the tree, or a commit whose journal was lost. Asked while the publication can still be
 * dropped; once it must be finished, such a file would stop the service for good.
 */
export async function demandFree(parts: PublishParts, id: string): Promise<void> {
  const { folder } = parts.current;
  const staging = stagingOf(parts, id);
  const staged = (await listFiles(staging))
    .filter((path) => path !== tree.timestamp)
    .map((path) => ({ place: path, from: join(staging, path) }));
  // In a folder that is not there nothing is.
  const there = new Map<string, boolean>();
  await beside([...staged, ...(await readTargetList(parts, id))], async ({ place, from }) => {
    const above = join(folder, dirname(place));
    // What is gone now would be gone when it must be placed.
    if (!(await exists(from))) throw gone(place);
    const known = there.get(above) ?? (await exists(above));
    there.set(above, known);
    if (!known || !(await exists(join(folder, place)))) return;
    if (!(await isSame(from, join(folder, place)))) throw taken(place);
  });
}

async function isSame(staged: string, place: string): Promise<boolean> {
  const [ours, theirs] = [await promptFiles.lstat(staged), await promptFiles.lstat(place)];
  if (ours.ino === theirs.ino && ours.dev === theirs.dev) return true;
  const [a, b] = [await hashFile(staged), await hashFile(place, { nofollow: true })];
  return a.sha256 === b.sha256;
}

function gone(path: string): IronError {
  return new IronError('E_NOT_FOUND', `the bytes that become ${path} are gone`, {
    hint: 'nothing was published; upload them again, and submit again',
    context: { path },
  });
}

function taken(path: string): IronError {
  return new IronError('E_EXISTS', `${path} is in the tree already, with other bytes`, {
    why: 'the bytes of a file in the tree never change',
    hint: 'nothing was published; `ironport-repo fsck` says whether anything lists it: what nothing lists, the operator may move away',
    context: { path },
  });
}
