/**
 * Collects the bytes of targets whose window is over. Metadata is never touched, and so every name
 * and digest stays known. The order makes it safe to be stopped at any instant: first the marks are
 * durable, then the index knows that the bytes are not to be counted on, then they go; what a crash
 * leaves is a mark beside bytes, which harms nobody and is finished by the next run.
 */

import { mkdir, open, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { IronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import { RETENTION_LIMITS } from '../../shared/limits.ts';
import { beside } from '../../shared/node/beside.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { syncAll } from '../../shared/node/sync.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import { parseRetention, type Retention } from '../../shared/tuf/retention.ts';
import { exists } from '../publish/exists.ts';
import type { PublishParts } from '../publish/parts.ts';
import { type Hold, holdOn, loadHolds } from '../storage/holds.ts';
import type { Published } from '../storage/published.ts';
import { type Unlisted, unlistedTargets } from './unlisted.ts';
import { wantedPlaces } from './wanted.ts';

/** A target that nothing lists, with when its bytes may go. */
export interface Candidate extends Unlisted {
  readonly place: string;
  readonly due: Instant;
}

export interface RetentionPlan {
  readonly retention: Retention;
  /** To be collected now, those that are due longest first. */
  readonly due: readonly Candidate[];
  /** Due, and kept by a hold. */
  readonly held: readonly Candidate[];
  /** Not due yet; or due, and named by what waits for publication. */
  readonly waiting: readonly Candidate[];
}

/**
 * What would be collected at `now`. `E_POLICY` when the targets name no window. Only bytes that are
 * there are counted.
 * @param wanted places that are about to be listed again
 */
export async function planCollection(
  published: Published,
  now: Instant,
  holds: readonly Hold[],
  wanted: ReadonlySet<string>,
): Promise<RetentionPlan> {
  const retention = parseRetention(published.targets.envelope.signed);
  if (retention === undefined)
    throw new IronError('E_POLICY', 'the signed targets name no window, so nothing is collected', {
      hint: 'nothing was changed; `ironport-repo retention set` makes targets that do',
    });
  const due: Candidate[] = [];
  const held: Candidate[] = [];
  const waiting: Candidate[] = [];
  for (const [place, one] of await unlistedTargets(published)) {
    if (!(await exists(join(published.folder, place)))) continue;
    // A window that was made longer is given to what is there still.
    const promised = Math.max(one.until, one.listed + retention.window);
    const candidate = { ...one, place, due: promised + retention.grace };
    const list =
      candidate.due > now || wanted.has(place)
        ? waiting
        : holdOn(holds, one.path) === undefined
          ? due
          : held;
    list.push(candidate);
  }
  const byDue = (a: Candidate, b: Candidate): number =>
    a.due - b.due || (a.place < b.place ? -1 : 1);
  return { retention, due: due.sort(byDue), held: held.sort(byDue), waiting: waiting.sort(byDue) };
}

export interface Collection extends RetentionPlan {
  /** What is gone, or would be; the rest of `due` is for the next run. */
  readonly collected: readonly Candidate[];
}

/** Collects what is due, so much of it at once. The caller sees to it that nothing is published. */
export async function collect(parts: PublishParts, dryRun: boolean): Promise<Collection> {
  const published = await parts.current.need();
  const now = parts.clock();
  // A clock that ran ahead would end every window: whoever renews daily has a fresh timestamp.
  if (published.timestamp.expires <= now)
    throw new IronError('E_EXPIRED', 'the published timestamp has expired by the clock here', {
      why: `it was good until ${formatInstant(published.timestamp.expires)}; the service stood still, or this clock runs ahead`,
      hint: 'nothing was changed; look at the clock, and let the service renew the timestamp',
    });
  const holds = await loadHolds(parts.home);
  const plan = await planCollection(published, now, holds, await wantedPlaces(parts));
  const collected = plan.due.slice(0, RETENTION_LIMITS.atOnce);
  if (!dryRun && collected.length > 0) await remove(parts, collected);
  return { ...plan, collected };
}

async function remove(parts: PublishParts, targets: readonly Candidate[]): Promise<void> {
  const { folder } = parts.current;
  const at = (path: string): string => join(folder, path);
  const marks = targets.map(({ place }) => tree.mark(place) as string);
  const touched = new Set<string>([folder]);
  for (const mark of marks) {
    for (let above = dirname(mark); above !== '.'; above = dirname(above)) touched.add(at(above));
    await onPath(at(mark), () => mkdir(at(dirname(mark)), { recursive: true }));
  }
  await beside(marks, (mark) => onPath(at(mark), () => putMark(at(mark))));
  await syncAll(folder, [...touched]);
  await parts.observe('marked');
  parts.index.collected(targets);
  await parts.observe('noted');
  await beside(targets, async ({ place }) => {
    await onPath(at(place), () => unlink(at(place))).catch((error) => {
      if (!isErrno(error.cause) || error.cause.code !== 'ENOENT') throw error;
    });
    await parts.observe(`collected ${place}`);
  });
  await syncAll(folder, [...new Set(targets.map(({ place }) => at(dirname(place))))]);
}

async function putMark(path: string): Promise<void> {
  try {
    await (await open(path, 'wx', 0o444)).close();
  } catch (error) {
    // Of a run that did not end.
    if (!isErrno(error) || error.code !== 'EEXIST') throw error;
  }
}
