/**
 * The last update that a store has whole. The floors can be above it: they rise with a timestamp
 * (TUF 5.4.5), before the snapshot that it names is there.
 *
 * This decides how a refusal is called, and nothing about what is refused.
 */

import { isIronError } from '../../shared/errors.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { parseSnapshot } from '../../shared/tuf/snapshot.ts';
import { parseTimestamp } from '../../shared/tuf/timestamp.ts';
import type { Floors } from '../../shared/verify/floors.ts';
import type { Store } from './store.ts';

/** Versions of the last whole update; 0 where there was none, or where only the other is known. */
export interface Completed {
  readonly timestamp: number;
  readonly snapshot: number;
}

/** Reads the store now, and judges when asked: undefined when what is there does not tell. */
export async function readCompleted(store: Store): Promise<() => Completed | undefined> {
  const floors = await store.floors().catch(ofOurs);
  const [timestamp, snapshot] = [await store.read('timestamp'), await store.read('snapshot')];
  return () => (floors === undefined ? undefined : judge(floors, timestamp, snapshot));
}

function judge(
  floors: Floors,
  timestampBytes: Uint8Array | undefined,
  snapshotBytes: Uint8Array | undefined,
): Completed | undefined {
  const isFresh = floors.timestamp === 0 && floors.roles.size === 0;
  if (timestampBytes === undefined) return isFresh ? { timestamp: 0, snapshot: 0 } : undefined;
  try {
    const timestamp = parseTimestamp(timestampBytes);
    // An older file than the floors know of was put here by another hand.
    if (timestamp.version !== floors.timestamp) return undefined;
    if (snapshotBytes === undefined) {
      return floors.roles.size === 0 ? { timestamp: 0, snapshot: 0 } : undefined;
    }
    const snapshot = parseSnapshot(snapshotBytes, METADATA_LIMITS.snapshot);
    const isWhole = snapshot.version === timestamp.snapshot.version;
    return { timestamp: isWhole ? timestamp.version : 0, snapshot: snapshot.version };
  } catch (error) {
    return ofOurs(error);
  }
}

function ofOurs(error: unknown): undefined {
  if (!isIronError(error)) throw error;
}
