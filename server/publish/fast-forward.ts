/** Versions that nobody honest comes to (TUF 1.5.2, fast-forward attacks). */

import { PUBLISHED_LIMITS } from '../../shared/limits.ts';
import type { Published } from '../storage/published.ts';

/** Whether what stands can hardly be followed any more: an online key was in strange hands. */
export function isFastForwarded({
  snapshot,
  timestamp,
}: Pick<Published, 'snapshot' | 'timestamp'>): boolean {
  return Math.max(snapshot.version, timestamp.version) > PUBLISHED_LIMITS.version;
}
