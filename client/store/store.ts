/** Where a client keeps what it trusts. What comes back out of it is verified like anything else. */

import type { Floors } from '../../shared/verify/floors.ts';

export interface Store {
  /** The pinned root, which begins every chain; `E_NO_PIN` when there is none. */
  pinnedRoot(): Promise<Uint8Array>;
  /** A root that was trusted before. */
  root(version: number): Promise<Uint8Array | undefined>;
  /** The stored file of another role. */
  read(role: string): Promise<Uint8Array | undefined>;
  floors(): Promise<Floors>;
  /** Each of these is durable when it returns, and never seen half-done. */
  writeRoot(version: number, bytes: Uint8Array): Promise<void>;
  write(role: string, bytes: Uint8Array): Promise<void>;
  remove(role: string): Promise<void>;
  writeFloors(floors: Floors): Promise<void>;
  /** The list of revocations that was read last; a store without these two fetches it each time. */
  readList?(): Promise<Uint8Array | undefined>;
  writeList?(bytes: Uint8Array): Promise<void>;
  /** What was noted of the stored targets file, for stores that keep such a note. */
  targetsNote?(): Promise<Uint8Array | undefined>;
  writeTargetsNote?(note: Uint8Array): Promise<void>;
  /** Runs `act` while nobody else uses the store, for stores that others can reach. */
  exclusively?<T>(act: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}
