/**
 * Lets bytes go that are due. The order makes it safe to be stopped at any instant: first the marks
 * are durable, then the index knows that the bytes are not to be counted on, then they go; what a
 * crash leaves is a mark beside bytes, which harms nobody and is finished by the next run.
 *
 * A plan takes its time, and what it rests on changes meanwhile. So holds are read again under the
 * lock under which they are changed, which is kept until the bytes are gone; and submissions once
 * more before the index forgets the bytes: one that comes later finds them gone when it is judged or
 * published, and is refused.
 */

import { mkdir, open, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isIronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import { RETENTION_LIMITS } from '../../shared/limits.ts';
import { beside } from '../../shared/node/beside.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { syncAll } from '../../shared/node/sync.ts';
import type { PublishParts } from '../publish/parts.ts';
import { holdOn, underHolds } from '../storage/holds.ts';
import type { Candidate } from './collect.ts';
import { wantedBlobs } from './wanted.ts';

/** What became of targets that were due. */
export interface Removal {
  readonly gone: Candidate[];
  /** A hold came meanwhile. */
  readonly held: Candidate[];
  /** A submission lists them now. */
  readonly wanted: Candidate[];
}

/** Removes them, some at a time: whoever adds a hold need not wait for all of them. */
export async function remove(parts: PublishParts, targets: readonly Candidate[]): Promise<Removal> {
  const all: Removal = { gone: [], held: [], wanted: [] };
  const size = RETENTION_LIMITS.underLock;
  for (let at = 0; at < targets.length; at += size) {
    const some = targets.slice(at, at + size);
    const removal = await removeSome(parts, some).catch((error) => {
      // Those that went are told; the rest is for the next run.
      if (at > 0 && isIronError(error, 'E_LOCKED')) return undefined;
      throw error;
    });
    if (removal === undefined) break;
    const { gone, held, wanted } = removal;
    all.gone.push(...gone);
    all.held.push(...held);
    all.wanted.push(...wanted);
  }
  return all;
}

function removeSome(parts: PublishParts, targets: readonly Candidate[]): Promise<Removal> {
  return underHolds(parts.home, async (holds) => {
    const held = targets.filter(({ path }) => holdOn(holds, path) !== undefined);
    const free = targets.filter((one) => !held.includes(one));
    await putMarks(parts, free);
    await parts.observe('marked');
    const listed = await wantedBlobs(parts);
    const wanted = free.filter((one) => listed.has(one));
    const gone = free.filter((one) => !listed.has(one));
    parts.index.collected(gone);
    await parts.observe('noted');
    await removeBytes(parts, gone);
    return { gone, held, wanted };
  });
}

async function putMarks({ current }: PublishParts, targets: readonly Candidate[]): Promise<void> {
  const { folder } = current;
  const at = (path: string): string => join(folder, path);
  const marks = targets.map(({ place }) => tree.mark(place) as string);
  const touched = new Set<string>([folder]);
  for (const mark of marks) {
    for (let above = dirname(mark); above !== '.'; above = dirname(above)) touched.add(at(above));
    await onPath(at(mark), () => mkdir(at(dirname(mark)), { recursive: true }));
  }
  await beside(marks, (mark) => onPath(at(mark), () => putMark(at(mark))));
  await syncAll(folder, [...touched]);
}

async function putMark(path: string): Promise<void> {
  try {
    await (await open(path, 'wx', 0o444)).close();
  } catch (error) {
    // Of a run that did not end.
    if (!isErrno(error) || error.code !== 'EEXIST') throw error;
  }
}

async function removeBytes(parts: PublishParts, targets: readonly Candidate[]): Promise<void> {
  const { folder } = parts.current;
  await beside(targets, async ({ place }) => {
    const path = join(folder, place);
    await onPath(path, () => unlink(path)).catch((error) => {
      if (!isErrno(error.cause) || error.cause.code !== 'ENOENT') throw error;
    });
    await parts.observe(`collected ${place}`);
  });
  await syncAll(folder, [...new Set(targets.map(({ place }) => join(folder, dirname(place))))]);
}
