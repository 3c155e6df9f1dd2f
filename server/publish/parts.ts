/** What publishing works with. */

import { join } from 'node:path';
import { data } from '../../shared/layout.ts';
import type { Random } from '../../shared/node/random.ts';
import type { Clock } from '../../shared/time.ts';
import type { Journal } from '../db/journal.ts';
import type { Queue } from '../db/queue.ts';
import type { Reviews } from '../db/reviews.ts';
import type { Shelves } from '../intake/examine.ts';
import type { ReviewDesk } from '../intake/review/desk.ts';
import type { CurrentTree } from '../storage/published.ts';
import type { Suspended } from '../storage/suspended.ts';
import type { OnlineKeys } from './online-keys.ts';

export interface PublishParts extends Shelves {
  /** The service's folder. */
  readonly home: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly current: CurrentTree;
  readonly queue: Queue;
  readonly journal: Journal;
  readonly keys: OnlineKeys;
  readonly suspended: Suspended;
  readonly reviews: Reviews;
  readonly desk: ReviewDesk;
  /** Told of each point that a publication reaches; what it throws ends it there. */
  readonly observe: (point: string) => void | Promise<void>;
}

/** The folder of a publication's staged files, laid out like the tree. */
export function stagingOf(parts: Pick<PublishParts, 'home'>, id: string): string {
  return join(parts.home, data.publication(id));
}

/** Beside it: how the names of files begin that are being copied for a publication. */
export function scratchOf(parts: Pick<PublishParts, 'home'>, id: string): string {
  return `${stagingOf(parts, id)}.copy`;
}
