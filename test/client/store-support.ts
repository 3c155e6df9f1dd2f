/** Stores that are put through something, and what must hold of them afterwards. */

import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FolderStore, type FolderStoreOptions } from '../../client/store/folder.ts';
import { Updater } from '../../client/updater.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import type { Floors } from '../../shared/verify/floors.ts';
import { TODAY } from '../support/clock.ts';
import type { Simulator } from '../support/simulator.ts';

/** Hundreds of stores are written: in memory, where there is such a place. */
const SCRATCH = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** Runs `act` with a folder of its own. */
export async function withFolder<T>(act: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(SCRATCH, 'ironport-store-'));
  try {
    return await act(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A store, what it said of its files, and one repository that it follows. */
export class Follower {
  readonly folder: string;
  readonly sim: Simulator;
  /** Codes of what was unreadable or did not verify, by role or file. */
  readonly said: string[] = [];
  readonly #options: FolderStoreOptions;

  constructor(folder: string, sim: Simulator, options: FolderStoreOptions = {}) {
    this.folder = folder;
    this.sim = sim;
    this.#options = options;
  }

  store(): FolderStore {
    const onUnreadable: FolderStoreOptions['onUnreadable'] = (path, error) =>
      this.said.push(`${path}: ${error.code}`);
    return new FolderStore(this.folder, { ...this.#options, onUnreadable });
  }

  async pin(): Promise<void> {
    await this.store().pinRoot(this.sim.roots.get(1) as Uint8Array, platformCrypto);
  }

  /** A fresh client: nothing of an earlier one is in memory. */
  updater(): Updater {
    return new Updater({
      crypto: platformCrypto,
      clock: () => TODAY,
      store: this.store(),
      fetcher: this.sim,
      onUnusable: (role, error) => this.said.push(`${role}: ${error.code}`),
    });
  }

  async refresh(): Promise<void> {
    await this.updater().refresh();
  }

  floors(): Promise<Floors> {
    return this.store().floors();
  }
}

/** What went down from `before` to `after`, or nothing. */
export function lowered(before: Floors, after: Floors): string[] {
  const names = ['root', 'timestamp', 'snapshot'] as const;
  const down: string[] = names.filter((name) => after[name] < before[name]);
  for (const [role, version] of before.roles) {
    if ((after.roles.get(role) ?? 0) < version) down.push(role);
  }
  return down;
}
