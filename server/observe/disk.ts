/**
 * Whether the service's folders take a file now, and how much room they have: what `statfs` says is
 * not all (quotas, a mount that became read-only after an error), so a file is really written.
 */

import { statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { asIronError } from '../../shared/errors.ts';
import { data } from '../../shared/layout.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { writeFileAtomic } from '../../shared/node/files.ts';

export interface Disk {
  readonly free: number;
  readonly size: number;
  /** What is wrong with it; null when it takes files. */
  readonly problem: string | null;
}

/** Strangers may ask, so the disk is asked at most so often. */
const KEPT_MS = 5000;

export class DiskWatch {
  readonly #home: string;
  #last: { readonly at: number; readonly disk: Promise<Disk> } | undefined;

  /** @param home the service's folder */
  constructor(home: string) {
    this.#home = home;
  }

  look(): Promise<Disk> {
    const now = performance.now();
    if (this.#last === undefined || now - this.#last.at > KEPT_MS)
      this.#last = { at: now, disk: this.#measure() };
    return this.#last.disk;
  }

  async #measure(): Promise<Disk> {
    const room = await statfs(join(this.#home, data.private)).catch(() => undefined);
    const free = room === undefined ? 0 : room.bavail * room.bsize;
    const size = room === undefined ? 0 : room.blocks * room.bsize;
    try {
      const probe = join(this.#home, data.probe);
      await writeFileAtomic(probe, new Uint8Array(512), { mode: 0o600 });
      await onPath(probe, () => unlink(probe));
    } catch (error) {
      const { code } = asIronError(error);
      const problem = code === 'E_NO_SPACE' ? 'the disk is full' : 'the disk cannot be written';
      return { free, size, problem };
    }
    const low = free < SERVER_LIMITS.leastFree;
    return { free, size, problem: low ? 'the disk is nearly full' : null };
  }
}
