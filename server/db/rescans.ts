/**
 * What a scanner said of what is published, beside what the checks said of what was handed in, and shown like
 * that: to operators and auditors, and to the vendor that asks by its id.
 */

import type { Verdict } from '../../shared/api/upload.ts';
import { SCANNER_LIMITS } from '../../shared/limits.ts';
import type { Instant } from '../../shared/time.ts';
import { type Db, inTransaction, prepared } from './open.ts';

export interface NewRescan {
  readonly id: string;
  /** Null for what stands under the operators' own targets. */
  readonly vendor: string | null;
  readonly role: string;
  readonly version: number;
  /** What stood when it was looked at. */
  readonly snapshot: number;
  readonly timestamp: number;
  readonly verdicts: readonly Verdict[];
}

/** Keeps it, durably; of each vendor only the last so many. It is at its end: nothing takes it up. */
export function addRescan(db: Db, rescan: NewRescan, now: Instant): void {
  const { verdicts, ...row } = rescan;
  inTransaction(db, () => {
    prepared(
      db,
      `INSERT INTO submissions (id, vendor, role, version, state, snapshot, timestamp, created, rescan)
       VALUES (@id, @vendor, @role, @version, 'published', @snapshot, @timestamp, @now, 1)`,
    ).run({ ...row, now });
    const insert = prepared(
      db,
      'INSERT INTO verdicts (submission, position, name, ok, detail, code) VALUES (?, ?, ?, ?, ?, ?)',
    );
    verdicts.forEach(({ check, ok, detail, code }, i) => {
      insert.run(rescan.id, i, check, ok ? 1 : 0, detail, code ?? null);
    });
    prepared(
      db,
      `DELETE FROM submissions WHERE seq IN (
         SELECT seq FROM submissions WHERE rescan = 1 AND vendor IS ?
         ORDER BY seq DESC LIMIT -1 OFFSET ?)`,
    ).run(rescan.vendor, SCANNER_LIMITS.rescans);
  });
}
