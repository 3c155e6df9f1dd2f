/** Lives of the roles, and the warnings about them: each threshold once a version, whatever restarts. */

import type { Instant } from '../../shared/time.ts';
import {
  beganAt,
  type ExpiryWarning,
  isOnline,
  leftOf,
  passed,
  type RoleLife,
  type Threshold,
} from '../jobs/expiry.ts';
import type { RoleExpiry } from '../storage/expiries.ts';
import { type Db, inTransaction } from './open.ts';

/** A warning that waits to be told to a webhook. */
export interface WaitingNotice extends RoleLife {
  readonly id: number;
  readonly threshold: Threshold;
  readonly attempts: number;
}

interface Known extends RoleLife {
  /** The lowest threshold that was warned of; 100 for none. */
  readonly warned: number;
}

export class Lives {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  /** Every role's life as it was noted last. */
  all(): RoleLife[] {
    return this.#db
      .prepare('SELECT role, version, began, expires FROM role_lives ORDER BY role')
      .all() as RoleLife[];
  }

  /**
   * Notes what stands, and returns what must be said about it: noted as said in the same
   * transaction, so that a crash loses a warning rather than repeat it for ever.
   * @param notify whether each warning is also put in line for a webhook
   */
  look(roles: readonly RoleExpiry[], now: Instant, notify: boolean): ExpiryWarning[] {
    return inTransaction(this.#db, () => {
      const knowsOthers = this.all().length > 0;
      const warnings: ExpiryWarning[] = [];
      for (const one of roles) {
        if (isOnline(one.role)) continue;
        const life = this.#known(one, now, knowsOthers);
        const threshold = passed(life, now);
        if (threshold === undefined || threshold >= life.warned) continue;
        this.#db
          .prepare('UPDATE role_lives SET warned = ? WHERE role = ?')
          .run(threshold, life.role);
        const { warned: _warned, ...rest } = life;
        warnings.push({ ...rest, threshold, left: Math.floor(leftOf(life, now)) });
        if (notify) this.#enqueue(life, threshold, now);
      }
      this.#forgetOthers(roles);
      return warnings;
    });
  }

  #known({ role, version, expires }: RoleExpiry, now: Instant, knowsOthers: boolean): Known {
    const known = this.#db.prepare('SELECT * FROM role_lives WHERE role = ?').get(role) as
      | Known
      | undefined;
    if (known?.version === version && known.expires === expires) return known;
    const began = beganAt(role, expires, now, knowsOthers);
    this.#db
      .prepare(
        `INSERT OR REPLACE INTO role_lives (role, version, began, expires, warned)
         VALUES (?, ?, ?, ?, 100)`,
      )
      .run(role, version, began, expires);
    // What was said of the version before is nobody's business any more.
    this.#db.prepare('DELETE FROM notices WHERE role = ?').run(role);
    return { role, version, began, expires, warned: 100 };
  }

  /** Vendors that are not delegated to any more. */
  #forgetOthers(roles: readonly RoleExpiry[]): void {
    const standing = new Set(roles.map(({ role }) => role));
    for (const { role } of this.all()) {
      if (standing.has(role)) continue;
      for (const table of ['role_lives', 'notices'])
        this.#db.prepare(`DELETE FROM ${table} WHERE role = ?`).run(role);
    }
  }

  #enqueue({ role, version, began, expires }: RoleLife, threshold: Threshold, now: Instant): void {
    // One that was not taken yet is out of date: a role has one notice in line at the most.
    this.#db.prepare('DELETE FROM notices WHERE role = ?').run(role);
    this.#db
      .prepare(
        `INSERT INTO notices (role, version, began, expires, threshold, attempts, due)
         VALUES (?, ?, ?, ?, ?, 0, ?)`,
      )
      .run(role, version, began, expires, threshold, now);
  }

  /** Notices whose turn it is, the oldest first. */
  due(now: Instant, limit: number): WaitingNotice[] {
    return this.#db
      .prepare(
        `SELECT id, role, version, began, expires, threshold, attempts FROM notices
         WHERE due <= ? ORDER BY id LIMIT ?`,
      )
      .all(now, limit) as WaitingNotice[];
  }

  /** It was taken, or given up. */
  done(id: number): void {
    inTransaction(this.#db, () => {
      this.#db.prepare('DELETE FROM notices WHERE id = ?').run(id);
    });
  }

  /** Once more, at `due`. */
  again(id: number, due: Instant): void {
    inTransaction(this.#db, () => {
      this.#db
        .prepare('UPDATE notices SET attempts = attempts + 1, due = ? WHERE id = ?')
        .run(due, id);
    });
  }
}
