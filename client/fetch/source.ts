/** As much of a fetcher as targets come from. */

import type { Fetcher } from './fetcher.ts';

export interface Source extends Pick<Fetcher, 'openFile' | 'origin'> {
  /** Given each small target after its digests were verified, by its path in the tree. */
  keep?(place: string, bytes: Uint8Array): Promise<void>;
}
