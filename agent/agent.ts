/** What every part of the agent works with: its folder, its audit log, clock, chance and limits. */

import { join } from 'node:path';
import type { Crypto } from '../shared/crypto/crypto.ts';
import { isIronError } from '../shared/errors.ts';
import { agentState } from '../shared/layout.ts';
import { AGENT_LIMITS } from '../shared/limits.ts';
import { systemClock } from '../shared/node/clock.ts';
import { platformCrypto } from '../shared/node/crypto.ts';
import { readFileCapped } from '../shared/node/files.ts';
import { ensurePrivateFolder } from '../shared/node/folders.ts';
import { type LockOptions, withLock } from '../shared/node/lock.ts';
import { type Random, systemRandom } from '../shared/node/random.ts';
import type { Clock } from '../shared/time.ts';
import { Audit } from './audit.ts';

export interface AgentOptions {
  /** The agent's own folder. */
  readonly state: string;
  readonly crypto?: Crypto;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly proc?: string;
  readonly writeSeconds?: number;
  readonly settleSeconds?: number;
}

export class Agent {
  readonly state: string;
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly random: Random;
  readonly proc: string;
  readonly writeMs: number;
  readonly settleMs: number;
  readonly audit: Audit;

  constructor(options: AgentOptions) {
    this.state = options.state;
    this.crypto = options.crypto ?? platformCrypto;
    this.clock = options.clock ?? systemClock;
    this.random = options.random ?? systemRandom;
    this.proc = options.proc ?? '/proc';
    this.writeMs = 1000 * (options.writeSeconds ?? AGENT_LIMITS.writeSeconds);
    this.settleMs = 1000 * (options.settleSeconds ?? AGENT_LIMITS.settleSeconds);
    this.audit = new Audit(this.place(agentState.audit), this.clock);
  }

  /** The absolute place of a path of `agentState`. */
  place(path: string): string {
    return join(this.state, path);
  }

  /** A file of the agent's own, or undefined when it was never written. */
  async read(path: string, cap: number = AGENT_LIMITS.state): Promise<Uint8Array | undefined> {
    try {
      return await readFileCapped(this.place(path), cap, { nofollow: true });
    } catch (error) {
      if (isIronError(error, 'E_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /** Runs what changes something: alone, in folders that only we can enter. `E_LOCKED`. */
  async alone<T>(act: () => Promise<T>, options: LockOptions = {}): Promise<T> {
    await ensurePrivateFolder(this.state);
    for (const folder of agentState.folders) await ensurePrivateFolder(this.place(folder));
    const alone = (): Promise<T> => {
      // Whoever was alone before us may have written to it.
      this.audit.lookAgain();
      return act();
    };
    return await withLock(this.place(agentState.lock), alone, { waitMs: 2000, ...options });
  }
}
