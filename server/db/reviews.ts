/** Submissions that people look at before they are published, and what these people said. */

import type { CeilingDifference, ReviewedFile } from '../../shared/api/review.ts';
import type { ErrorBody, Verdict } from '../../shared/api/upload.ts';
import type { Instant } from '../../shared/time.ts';
import { type Db, inTransaction } from './open.ts';
import type { Queue } from './queue.ts';

/** What a submission waits for, and what is shown of it. */
export interface NewReview {
  readonly since: Instant;
  readonly until: Instant;
  /** Why it waits, in words. */
  readonly reasons: readonly string[];
  readonly ceilings: readonly CeilingDifference[];
  /** The role files and every new target. */
  readonly files: readonly ReviewedFile[];
}

export interface StoredReview extends NewReview {
  readonly id: string;
  readonly vendor: string;
  readonly role: string;
  readonly version: number;
  readonly state: 'waiting' | 'approved' | 'rejected' | 'expired';
}

/** What one key said, and the envelope in which it said so. */
export interface ReviewStatement {
  /** `keyIdentity` of the reviewer's key. */
  readonly identity: string;
  readonly keyid: string;
  readonly result: 'approved' | 'rejected';
  readonly comment: string | null;
  readonly envelope: Uint8Array;
  readonly at: Instant;
}

interface Row {
  readonly id: string;
  readonly vendor: string;
  readonly role: string;
  readonly version: number;
  readonly state: StoredReview['state'];
  readonly since: Instant;
  readonly until: Instant;
  readonly reasons: string;
  readonly ceilings: string;
}

const SELECT = `SELECT submissions.id, submissions.vendor, submissions.role, submissions.version,
    reviews.state, reviews.since, reviews.until, reviews.reasons, reviews.ceilings
  FROM reviews JOIN submissions ON submissions.id = reviews.submission`;

export class Reviews {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  /** Notes that a submission waits. Inside the transaction that keeps it. */
  add(id: string, { since, until, reasons, ceilings, files }: NewReview): void {
    this.#db
      .prepare(
        `INSERT INTO reviews (submission, state, since, until, reasons, ceilings)
         VALUES (?, 'waiting', ?, ?, ?, ?)`,
      )
      .run(id, since, until, JSON.stringify(reasons), JSON.stringify(ceilings));
    const file = this.#db.prepare(
      'INSERT INTO review_files (submission, position, path, sha256, length) VALUES (?, ?, ?, ?, ?)',
    );
    for (const [position, { path, sha256, length }] of files.entries())
      file.run(id, position, path, sha256, length);
  }

  get(id: string): StoredReview | undefined {
    const row = this.#db.prepare(`${SELECT} WHERE submissions.id = ?`).get(id) as Row | undefined;
    return row && this.#read(row);
  }

  /** Those that wait, oldest first; with `ended` the others too. */
  list(ended: boolean): StoredReview[] {
    const condition = ended ? '' : "WHERE reviews.state = 'waiting'";
    const rows = this.#db.prepare(`${SELECT} ${condition} ORDER BY submissions.seq`).all() as Row[];
    return rows.map((row) => this.#read(row));
  }

  #read({ reasons, ceilings, ...row }: Row): StoredReview {
    const files = this.#db
      .prepare(
        'SELECT path, sha256, length FROM review_files WHERE submission = ? ORDER BY position',
      )
      .all(row.id) as ReviewedFile[];
    // Both were written by this class: nothing of it came from outside in this form.
    return { ...row, files, reasons: JSON.parse(reasons), ceilings: JSON.parse(ceilings) };
  }

  /** How many submissions of the vendor wait. */
  waiting(vendor: string): number {
    const row = this.#db
      .prepare(
        `SELECT count(*) AS n FROM reviews JOIN submissions ON submissions.id = reviews.submission
         WHERE reviews.state = 'waiting' AND submissions.vendor = ?`,
      )
      .get(vendor) as { n: number };
    return row.n;
  }

  statements(id: string): ReviewStatement[] {
    const rows = this.#db
      .prepare(
        `SELECT identity, keyid, result, comment, envelope, at FROM review_statements
         WHERE submission = ? ORDER BY at, identity`,
      )
      .all(id) as ReviewStatement[];
    return rows.map((row) => ({ ...row, envelope: new Uint8Array(row.envelope) }));
  }

  /** What was said, and what became of the submission by it; durable together. */
  decide(
    id: string,
    said: readonly ReviewStatement[],
    end: { readonly state: 'approved'; readonly verdict: Verdict } | Refused | undefined,
    queue: Queue,
  ): void {
    inTransaction(this.#db, () => {
      const insert = this.#db.prepare(
        `INSERT INTO review_statements (submission, identity, keyid, result, comment, envelope, at)
         VALUES (?, ?, ?, ?, ?, ?, ?)`,
      );
      for (const { identity, keyid, result, comment, envelope, at } of said)
        insert.run(id, identity, keyid, result, comment, envelope, at);
      if (end === undefined) return;
      this.#db.prepare('UPDATE reviews SET state = ? WHERE submission = ?').run(end.state, id);
      if (end.state === 'approved') queue.note(id, [end.verdict]);
      else queue.refuse(id, end.error, [end.verdict]);
    });
  }

  /** Those whose time is over. */
  overdue(now: Instant): string[] {
    const rows = this.#db
      .prepare("SELECT submission FROM reviews WHERE state = 'waiting' AND until <= ?")
      .all(now) as { submission: string }[];
    return rows.map(({ submission }) => submission);
  }

  /** Blobs that must stay because a submission that names them is not at its end, by vendor. */
  held(): Map<string, Set<string>> {
    const rows = this.#db
      .prepare(
        `SELECT submissions.vendor, review_files.sha256 FROM review_files
         JOIN submissions ON submissions.id = review_files.submission
         WHERE submissions.state = 'queued'`,
      )
      .all() as { vendor: string; sha256: string }[];
    const held = new Map<string, Set<string>>();
    for (const { vendor, sha256 } of rows)
      held.set(vendor, (held.get(vendor) ?? new Set()).add(sha256));
    return held;
  }
}

/** It will not be published. */
export interface Refused {
  readonly state: 'rejected' | 'expired';
  readonly error: ErrorBody;
  readonly verdict: Verdict;
}
