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
import { AuditHeads } from './audit-heads.ts';
import { writeAttribute } from './host/write.ts';
import { auditSigner } from './identity.ts';

export interface AgentOptions {
  /** The agent's own folder. */
  readonly state: string;
  /** Where signed heads of the audit log are kept, when it is not in that folder. */
  readonly auditHeads?: string | undefined;
  /** The keys of the fleet's operators, when they are not at their usual place. */
  readonly fleetKeys?: string | undefined;
  readonly crypto?: Crypto;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly proc?: string;
  /** Writes into sysfs. */
  readonly write?: typeof writeAttribute;
  readonly writeSeconds?: number;
  readonly settleSeconds?: number;
}

export class Agent {
  readonly state: string;
  readonly fleetKeys: string | undefined;
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly random: Random;
  readonly proc: string;
  readonly write: typeof writeAttribute;
  readonly writeMs: number;
  readonly settleMs: number;
  readonly audit: Audit;
  readonly heads: AuditHeads;

  constructor(options: AgentOptions) {
    this.state = options.state;
    this.fleetKeys = options.fleetKeys;
    this.crypto = options.crypto ?? platformCrypto;
    this.clock = options.clock ?? systemClock;
    this.random = options.random ?? systemRandom;
    this.proc = options.proc ?? '/proc';
    this.write = options.write ?? writeAttribute;
    this.writeMs = 1000 * (options.writeSeconds ?? AGENT_LIMITS.writeSeconds);
    this.settleMs = 1000 * (options.settleSeconds ?? AGENT_LIMITS.settleSeconds);
    this.audit = new Audit(this.place(agentState.audit), this.clock);
    const { audit, clock, crypto } = this;
    const heads = options.auditHeads ?? this.place(agentState.auditHeads);
    this.heads = new AuditHeads(heads, { audit, clock, crypto, signer: () => auditSigner(this) });
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

  /**
   * Runs what changes something: alone, in folders that only we can enter. `E_LOCKED`. Then the end of
   * the audit log is signed, where it can be: what `act` did is done, and binding asks for it again.
   */
  async alone<T>(act: () => Promise<T>, options: AloneOptions = {}): Promise<T> {
    await ensurePrivateFolder(this.state);
    for (const folder of agentState.folders) await ensurePrivateFolder(this.place(folder));
    const alone = async (): Promise<T> => {
      try {
        return await act();
      } finally {
        await this.heads.sign(options.signs).catch(() => {});
      }
    };
    return await withLock(this.place(agentState.lock), alone, { waitMs: 2000, ...options });
  }
}

export interface AloneOptions extends LockOptions {
  /** `due` for one of many pieces of work: the head is signed from time to time. */
  readonly signs?: 'now' | 'due';
}
