/** Nonces of signed requests that were seen: a request counts once, also across restarts. */

import { IronError } from '../../shared/errors.ts';
import type { Instant } from '../../shared/time.ts';
import { type Db, inTransaction } from './open.ts';

export class Nonces {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  /**
   * Takes the nonce, durably, before anything is done for the request. Throws `E_REPLAY` when it
   * was taken before. Nonces whose requests are expired are forgotten: those are refused by time.
   */
  take(keyid: string, nonce: string, expires: Instant, now: Instant): void {
    inTransaction(this.#db, () => {
      this.#db.prepare('DELETE FROM nonces WHERE expires <= ?').run(now);
      const { changes } = this.#db
        .prepare('INSERT OR IGNORE INTO nonces (keyid, nonce, expires) VALUES (?, ?, ?)')
        .run(keyid, nonce, expires);
      if (changes === 1) return;
      throw new IronError('E_REPLAY', 'this signed request was sent before', {
        why: `its nonce was seen already from the key ${keyid.slice(0, 12)}`,
        hint: 'nothing was changed; sign the request anew, with another nonce',
      });
    });
  }
}
