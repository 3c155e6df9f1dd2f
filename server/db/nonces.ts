/**
 * Nonces of signed requests that were seen: a request counts once, also across restarts.
 *
 * To wait for the disk at each request would be most of what a request costs. So nonces are written
 * without waiting: they outlive this process, but not a power cut. What does outlive it, by a wait
 * once in many seconds, is a bound that the time of no taken request exceeds. After a power cut
 * whatever is not above that bound is refused, because nobody knows whether it was seen (ADR 0045).
 */

import { IronError } from '../../shared/errors.ts';
import type { Instant } from '../../shared/time.ts';
import { type Db, inQuickTransaction, inTransaction, prepared } from './open.ts';

/** So far ahead of a request the bound is put: for so long at most a vendor waits after a power cut. */
const AHEAD_SECONDS = 10;

export interface TakenRequest {
  readonly keyid: string;
  readonly nonce: string;
  readonly created: Instant;
  readonly expires: Instant;
}

interface Bounds {
  /** The run of the machine in which they were written. */
  readonly boot: string;
  /** No request that was taken is of a later time. */
  readonly bound: Instant;
  /** The bound as it was when nonces were last lost. */
  readonly lost: Instant;
}

export class Nonces {
  readonly #db: Db;
  #bounds: Bounds;

  /** @param boot the run of the machine; another one than last time says that nonces may be lost */
  constructor(db: Db, boot: string) {
    this.#db = db;
    const last = prepared(db, 'SELECT boot, bound, lost FROM nonce_bounds').get() as
      | Bounds
      | undefined;
    this.#bounds = last ?? { boot, bound: 0, lost: 0 };
    if (last !== undefined && last.boot !== boot)
      this.#write({ boot, bound: last.bound, lost: last.bound });
  }

  /**
   * Takes the nonce, before anything is done for the request. Throws `E_REPLAY` when it was taken
   * before, or may have been. Nonces whose requests are expired are forgotten: those are refused by
   * time.
   */
  take({ keyid, nonce, created, expires }: TakenRequest, now: Instant): void {
    const { boot, bound, lost } = this.#bounds;
    if (created <= lost) {
      throw new IronError('E_REPLAY', 'this signed request may have been sent before', {
        why: 'the machine of the service went down since, and what it remembered of that time is lost',
        hint: 'nothing was changed; sign the request anew in a few seconds',
      });
    }
    if (created > bound) this.#write({ boot, bound: created + AHEAD_SECONDS, lost });
    inQuickTransaction(this.#db, () => {
      prepared(this.#db, 'DELETE FROM nonces WHERE expires <= ?').run(now);
      const insert = 'INSERT OR IGNORE INTO nonces (keyid, nonce, expires) VALUES (?, ?, ?)';
      const { changes } = prepared(this.#db, insert).run(keyid, nonce, expires);
      if (changes === 1) return;
      throw new IronError('E_REPLAY', 'this signed request was sent before', {
        why: `its nonce was seen already from the key ${keyid.slice(0, 12)}`,
        hint: 'nothing was changed; sign the request anew, with another nonce',
      });
    });
  }

  /** Durably. */
  #write(bounds: Bounds): void {
    const put = 'INSERT OR REPLACE INTO nonce_bounds (only, boot, bound, lost) VALUES (1, ?, ?, ?)';
    inTransaction(this.#db, () => {
      prepared(this.#db, put).run(bounds.boot, bounds.bound, bounds.lost);
    });
    this.#bounds = bounds;
  }
}
