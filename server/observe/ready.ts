/**
 * Whether the service can do its work: take what is sent, publish it, and keep what is published
 * fresh. What `/healthz` asks is another question, whether hosts accept what is served; a service
 * may be one without the other.
 */

import type { ReadyReply } from '../../shared/api/health.ts';
import { LIFETIMES } from '../../shared/limits.ts';
import type { Lock } from '../../shared/node/lock.ts';
import type { Clock } from '../../shared/time.ts';
import type { Worker } from '../jobs/worker.ts';
import type { CurrentTree } from '../storage/published.ts';
import type { DiskWatch } from './disk.ts';

export interface ReadyParts {
  readonly clock: Clock;
  readonly current: CurrentTree;
  readonly worker: Pick<Worker, 'isRecovering'>;
  readonly lock: Pick<Lock, 'isHeld'>;
  readonly disk: DiskWatch;
  readonly isStopping: () => boolean;
}

export type Readiness = Readonly<ReadyReply>;

/**
 * The share of its life at which a timestamp is called about to expire. It is renewed at a half:
 * with less than a quarter left, something has kept the service from it for hours.
 */
const LEAST_SHARE = 0.25;

export async function readiness(parts: ReadyParts): Promise<Readiness> {
  const { worker, lock, disk, isStopping } = parts;
  const problems: string[] = [];
  if (isStopping()) problems.push('the service is stopping');
  if (!lock.isHeld()) problems.push("the writer's lock is lost: another process may write");
  if (worker.isRecovering()) problems.push('a publication that was cut short is not finished yet');
  const { problem } = await disk.look();
  if (problem !== null) problems.push(problem);
  const stale = await staleness(parts);
  if (stale !== undefined) problems.push(stale);
  return { ok: problems.length === 0, problems };
}

async function staleness({ current, clock }: ReadyParts): Promise<string | undefined> {
  try {
    const published = await current.get();
    if (published === undefined) return undefined;
    const left = published.timestamp.expires - clock();
    if (left <= 0) return 'the timestamp has expired';
    if (left < LIFETIMES.timestamp * LEAST_SHARE) return 'the timestamp is about to expire';
    return undefined;
  } catch {
    return 'the published tree does not verify';
  }
}
