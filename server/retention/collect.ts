/**
 * Collects the bytes of targets whose window is over. Metadata is never touched, and so every name
 * and digest stays known.
 */

import { join } from 'node:path';
import { IronError } from '../../shared/errors.ts';
import { RETENTION_LIMITS } from '../../shared/limits.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import { parseRetention, type Retention } from '../../shared/tuf/retention.ts';
import { exists } from '../publish/exists.ts';
import type { PublishParts } from '../publish/parts.ts';
import { type Hold, holdOn, loadHolds } from '../storage/holds.ts';
import type { Published } from '../storage/published.ts';
import { remove } from './remove.ts';
import { type Unlisted, unlistedTargets } from './unlisted.ts';
import { type Wanted, wantedBlobs } from './wanted.ts';

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
 * @param wanted what is about to be listed again
 */
export async function planCollection(
  published: Published,
  now: Instant,
  holds: readonly Hold[],
  wanted: Pick<Wanted, 'has'>,
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
      candidate.due > now || wanted.has(one)
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
  const plan = await planCollection(published, now, holds, await wantedBlobs(parts));
  demandProven(plan, now);
  const chosen = plan.due.slice(0, RETENTION_LIMITS.atOnce);
  if (dryRun) return { ...plan, collected: chosen };
  await parts.observe('planned');
  const { gone, held, wanted } = await remove(parts, chosen);
  const kept = new Set([...held, ...wanted]);
  return {
    ...plan,
    due: plan.due.filter((one) => !kept.has(one)),
    held: [...plan.held, ...held],
    waiting: [...plan.waiting, ...wanted],
    collected: gone,
  };
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
