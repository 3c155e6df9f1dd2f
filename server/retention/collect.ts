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
  /** How many of those that wait would be due by the clock alone (gaps.ts). */
  readonly unproven: number;
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
  let unproven = 0;
  for (const [place, one] of await unlistedTargets(published)) {
    if (!(await exists(join(published.folder, place)))) continue;
    // A window that was made longer is given to what is there still.
    const promised = Math.max(one.until, one.listed + retention.window);
    const byClock = promised + retention.grace;
    const candidate = { ...one, place, due: byClock + one.gap };
    if (byClock <= now && candidate.due > now) unproven += 1;
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
  for (const list of [due, held, waiting]) list.sort(byDue);
  return { retention, due, held, waiting, unproven };
}

export interface Collection extends RetentionPlan {
  /** What is gone, or would be; the rest of `due` is for the next run. */
  readonly collected: readonly Candidate[];
}

/** Collects what is due, so much of it at once. The caller sees to it that nothing is published. */
export async function collect(parts: PublishParts, dryRun: boolean): Promise<Collection> {
  const published = await parts.current.need();
  const now = parts.clock();
  demandRenewed(published, now);
  const holds = await loadHolds(parts.home);
  const plan = await planCollection(published, now, holds, await wantedPlaces(parts));
  demandProven(plan, now);
  const collected = plan.due.slice(0, RETENTION_LIMITS.atOnce);
  if (!dryRun && collected.length > 0) await remove(parts, collected);
  return { ...plan, collected };
}

/** A clock that is ahead of what is signed would end every window. */
function demandRenewed({ timestamp, snapshot }: Published, now: Instant): void {
  const until = Math.min(timestamp.expires, snapshot.expires);
  if (until > now) return;
  throw new IronError('E_EXPIRED', 'the published timestamp has expired by the clock here', {
    why: `it was good until ${formatInstant(until)}; the service stood still, or this clock runs ahead`,
    hint: 'nothing was changed; look at the clock, and let the service renew the timestamp',
  });
}

/**
 * A service that renews by a clock that is ahead makes its own files agree with it: then the history
 * has a gap, and says no more. What is due all the same is due by time that is borne out.
 */
function demandProven({ due, held, waiting, unproven }: RetentionPlan, now: Instant): void {
  if (unproven === 0 || due.length > 0 || held.length > 0) return;
  const next = waiting.find((one) => one.due > now && Number.isFinite(one.due));
  throw new IronError('E_EXPIRED', 'only by the clock here is anything due', {
    why: 'a snapshot was signed long after the one before it had expired: the service stood still, or its clock was ahead then and is now. Time that nothing signed bears out ends no window',
    hint: `nothing was changed; look at the clock.${next === undefined ? '' : ` When it is right, the first target may go at ${formatInstant(next.due)}`}`,
    context: { unproven },
  });
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
