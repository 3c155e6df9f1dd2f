/**
 * What became of every request, in the audit log. A request that may change something has a line of its
 * own. What only reads, and what was no request at all, is counted, and has a line at its first, second,
 * fourth, eighth time and so on: a flood is a few lines, and the numbers are right.
 */

import { AGENT_LIMITS } from '../../shared/limits.ts';
import type { Agent } from '../agent.ts';
import type { AuditEvent } from '../audit.ts';
import type { Request } from '../wire/request.ts';
import type { Peer } from '../wire/serve.ts';

/** `ok`, or the code of the refusal. */
export type Verdict = string;

export interface Counted {
  readonly what: string;
  readonly verdict: Verdict;
  readonly count: number;
}

export class Verdicts {
  readonly #agent: Agent;
  readonly #onLost: (text: string) => void;
  /** By user, command and verdict, all of which are few. Owned by `#count`. */
  readonly #counts = new Map<string, Counted & { readonly user: number | null }>();
  #written: Promise<void> = Promise.resolve();

  constructor(agent: Agent, onLost: (text: string) => void) {
    this.#agent = agent;
    this.#onLost = onLost;
  }

  /** A request that may change something: its line is durable before it is answered. */
  async changed({ command, options }: Request, peer: Peer, verdict: Verdict): Promise<void> {
    this.#count(command, peer.user, verdict);
    const { device } = options;
    const about = typeof device === 'string' ? { device } : {};
    const { user, pid } = peer;
    await this.#append({ event: 'request', command, ...about, user, pid, verdict });
  }

  /** Any other: a line from time to time. `user` is null for all whom the helper does not know. */
  counted(what: string, user: number | null, verdict: Verdict): void {
    const count = this.#count(what, user, verdict);
    if (!Number.isInteger(Math.log2(count))) return;
    const event = { event: 'requests', command: what, user, verdict, count };
    this.#written = this.#written.then(() => this.#append(event));
  }

  /** All that was counted since the start. */
  totals(): Counted[] {
    return Array.from(this.#counts.values(), ({ what, verdict, count }) => ({
      ...{ what, verdict, count },
    }));
  }

  /** Ends when every line is written, or given up. */
  async settled(): Promise<void> {
    await this.#written;
  }

  #count(what: string, user: number | null, verdict: Verdict): number {
    const key = `${user} ${what} ${verdict}`;
    const count = (this.#counts.get(key)?.count ?? 0) + 1;
    this.#counts.set(key, { what, user, verdict, count });
    return count;
  }

  async #append(event: AuditEvent): Promise<void> {
    const waitMs = 1000 * AGENT_LIMITS.auditWaitSeconds;
    try {
      await this.#agent.alone(() => this.#agent.audit.append(event), { waitMs, signs: 'due' });
    } catch (error) {
      this.#onLost(`not in the audit log: ${error instanceof Error ? error.message : error}`);
    }
  }
}
