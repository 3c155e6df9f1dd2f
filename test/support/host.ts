/** A host that follows a simulated repository with the real updater and a store in memory. */

import { MemoryStore } from '../../client/store/memory.ts';
import { Updater } from '../../client/updater.ts';
import type { IronError } from '../../shared/errors.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import type { Check } from '../../shared/verify/check.ts';
import type { TrustedMetadata } from '../../shared/verify/trusted.ts';
import type { FoundTarget } from '../../shared/verify/workflow.ts';
import { TestClock } from './clock.ts';
import { Simulator } from './simulator.ts';

export class Host {
  readonly sim: Simulator;
  readonly clock = new TestClock();
  readonly store: MemoryStore;
  /** Roles whose stored file was damaged, with the code of what was wrong. */
  readonly unusable: [role: string, code: string][] = [];
  readonly checks: Check[] = [];

  constructor(sim = new Simulator(), pin = sim.roots.get(1) as Uint8Array) {
    this.sim = sim;
    this.store = new MemoryStore(pin);
  }

  updater(): Updater {
    return new Updater({
      crypto: platformCrypto,
      clock: this.clock.read,
      store: this.store,
      fetcher: this.sim,
      report: (check) => this.checks.push(check),
      onUnusable: (role: string, error: IronError) => this.unusable.push([role, error.code]),
    });
  }

  refresh(): Promise<TrustedMetadata> {
    return this.updater().refresh();
  }

  find(path: string): Promise<FoundTarget | undefined> {
    return this.updater().find(path);
  }

  /** The version of what is stored for a role; 0 when nothing is. */
  async stored(role: string): Promise<number> {
    const bytes = await this.store.read(role);
    if (bytes === undefined) return 0;
    return JSON.parse(new TextDecoder().decode(bytes)).signed.version;
  }
}
