/** Submissions: what was handed in, what the checks said, and what became of it. */

import type {
  ErrorBody,
  SubmissionReply,
  SubmissionState,
  UploadedRole,
  Verdict,
} from '../../shared/api/upload.ts';
import { errorBody } from '../../shared/api/upload.ts';
import { fromUtf8, utf8 } from '../../shared/bytes.ts';
import { type Code, IronError, isIronError } from '../../shared/errors.ts';
import { parseJson } from '../../shared/json/read.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import type { Instant } from '../../shared/time.ts';
import { type Db, inTransaction, prepared } from './open.ts';

/** What was handed in; `vendor` is null for files of the operators. */
export interface NewSubmission {
  readonly id: string;
  readonly vendor: string | null;
  readonly role: string;
  readonly version: number;
  readonly verdicts: readonly Verdict[];
  /** The signed files; none for what was refused at once. */
  readonly files: readonly Uint8Array[];
  /** Roles below the vendor's own, whose files lie in its quarantine. */
  readonly below?: readonly UploadedRole[];
  readonly error?: ErrorBody | undefined;
}

/** A submission that waits. */
export interface QueuedSubmission {
  readonly id: string;
  readonly vendor: string | null;
  readonly role: string;
  readonly version: number;
  readonly files: readonly Uint8Array[];
  readonly below: readonly UploadedRole[];
}

/** One that is not ready is before the reviewers. */
const STATE = `CASE WHEN state = 'queued' AND EXISTS (SELECT 1 FROM reviews
      WHERE reviews.submission = submissions.id AND reviews.state = 'waiting') THEN 'in-review'
         ELSE state END AS state`;

const GET = `SELECT id, vendor, role, version, error, snapshot, timestamp, created, rescan, ${STATE}
  FROM submissions WHERE id = ?`;

/** One of many, without what the checks said. */
export interface SubmissionRow {
  readonly id: string;
  /** Null for files of the operators. */
  readonly vendor: string | null;
  readonly role: string;
  readonly version: number;
  readonly state: SubmissionState;
  readonly created: Instant;
  /** Checks that were made, and the names of those that refused. */
  readonly checks: number;
  readonly refused: readonly string[];
  /** Whether it is no submission, but a look at what is published (rescans.ts). */
  readonly rescan: boolean;
}

interface Row {
  readonly id: string;
  readonly vendor: string | null;
  readonly role: string;
  readonly version: number;
  readonly state: SubmissionState;
  readonly error: string | null;
  readonly snapshot: number | null;
  readonly timestamp: number | null;
  readonly created: Instant;
  readonly rescan: number;
}

/** One that waits for the next transaction. */
interface Adding {
  readonly submission: NewSubmission;
  readonly now: Instant;
  readonly beside: ((id: string) => void) | undefined;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Queue {
  readonly #db: Db;
  readonly #onRefused: (event: { readonly code: Code; readonly role: string | null }) => void;
  /** Replaced as a whole by who takes it up, within one turn of the event loop. */
  #adding: Adding[] = [];

  constructor(
    db: Db,
    onRefused: (event: { readonly code: Code; readonly role: string | null }) => void = () => {},
  ) {
    this.#db = db;
    this.#onRefused = onRefused;
  }

  /** How many submissions wait, and since when the first of them does. */
  waiting(): { readonly count: number; readonly oldest: Instant | undefined } {
    const { count, oldest } = this.#db
      .prepare('SELECT count(*) AS count, min(created) AS oldest FROM ready')
      .get() as { count: number; oldest: Instant | null };
    return { count, oldest: oldest ?? undefined };
  }

  /** How many submissions wait for reviewers. */
  inReview(): number {
    const row = prepared(
      this.#db,
      "SELECT count(*) AS count FROM reviews WHERE state = 'waiting'",
    ).get() as { count: number };
    return row.count;
  }

  /**
   * Adds it: `refused` when it has an error, `queued` otherwise. Durable on return, together with
   * what `beside` writes. `E_QUOTA`. Those that come together are made durable together: one wait for
   * the disk is for all of them.
   */
  add(submission: NewSubmission, now: Instant, beside?: (id: string) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#adding.push({ submission, now, beside, resolve, reject });
      if (this.#adding.length === 1) setImmediate(() => this.#addAll());
    });
  }

  #addAll(): void {
    const adding = this.#adding;
    this.#adding = [];
    const refused = new Map<Adding, unknown>();
    try {
      inTransaction(this.#db, () => {
        for (const one of adding) {
          try {
            // Within the other: what one of them is refused for takes nothing from the rest.
            this.#db.transaction(() => {
              this.#insert(one.submission, one.now);
              one.beside?.(one.submission.id);
            })();
          } catch (error) {
            if (!isIronError(error) || !this.#db.inTransaction) throw error;
            refused.set(one, error);
          }
        }
      });
    } catch (error) {
      for (const { reject } of adding) reject(error);
      return;
    }
    for (const one of adding) {
      if (refused.has(one)) {
        one.reject(refused.get(one));
        continue;
      }
      const { error, role } = one.submission;
      if (error !== undefined) this.#onRefused({ code: error.code, role });
      one.resolve();
    }
  }

  #insert(submission: NewSubmission, now: Instant): void {
    const state = submission.error === undefined ? 'queued' : 'refused';
    if (state === 'queued') this.#demandRoom(submission.vendor);
    prepared(
      this.#db,
      `INSERT INTO submissions (id, vendor, role, version, state, error, created)
           VALUES (@id, @vendor, @role, @version, @state, @error, @now)`,
    ).run({
      id: submission.id,
      vendor: submission.vendor,
      role: submission.role,
      version: submission.version,
      state,
      error: submission.error === undefined ? null : JSON.stringify(submission.error),
      now,
    });
    this.#writeVerdicts(submission.id, submission.verdicts);
    if (state === 'refused') this.#forgetOldest(submission.vendor);
    const insert = prepared(
      this.#db,
      'INSERT INTO submission_files (submission, position, bytes) VALUES (?, ?, ?)',
    );
    submission.files.forEach((bytes, position) => {
      insert.run(submission.id, position, bytes);
    });
    const bin = prepared(
      this.#db,
      'INSERT INTO submission_bins (submission, role, sha256) VALUES (?, ?, ?)',
    );
    for (const { role, sha256 } of submission.below ?? []) bin.run(submission.id, role, sha256);
  }

  /**
   * Of what a vendor was refused only the last so many are kept: to be refused costs nothing. What
   * people decided stays until its time is over.
   */
  #forgetOldest(vendor: string | null): void {
    prepared(
      this.#db,
      `DELETE FROM submissions WHERE seq IN (
           SELECT seq FROM submissions WHERE state = 'refused' AND vendor IS ?
             AND id NOT IN (SELECT submission FROM reviews)
           ORDER BY seq DESC LIMIT -1 OFFSET ?)`,
    ).run(vendor, SERVER_LIMITS.refused);
  }

  #demandRoom(vendor: string | null): void {
    const { waiting } = prepared(
      this.#db,
      'SELECT count(*) AS waiting FROM ready WHERE vendor IS ?',
    ).get(vendor) as { waiting: number };
    if (waiting < SERVER_LIMITS.queued) return;
    throw new IronError('E_QUOTA', `${waiting} submissions are waiting already`, {
      hint: 'nothing was changed; wait until they are published',
      context: { waiting },
    });
  }

  get(id: string): (SubmissionReply & { readonly vendor: string | null }) | undefined {
    const row = prepared(this.#db, GET).get(id) as Row | undefined;
    if (row === undefined) return undefined;
    return {
      id: row.id,
      vendor: row.vendor,
      state: row.state,
      role: row.role,
      version: row.version,
      verdicts: this.#verdicts(id),
      ...(row.error === null ? {} : { error: readError(row.error) }),
      ...(row.snapshot === null || row.timestamp === null
        ? {}
        : { published: { snapshot: row.snapshot, timestamp: row.timestamp } }),
      ...(row.rescan === 1 ? { rescan: true } : {}),
    };
  }

  /** When it was handed in; undefined for none. */
  handedIn(id: string): Instant | undefined {
    return (prepared(this.#db, GET).get(id) as Row | undefined)?.created;
  }

  /** What was handed in, newest first. @param vendor of this one only */
  list(limit: number, vendor?: string): SubmissionRow[] {
    const rows = prepared(
      this.#db,
      `SELECT id, vendor, role, version, created, rescan, ${STATE}
       FROM submissions WHERE @vendor IS NULL OR vendor = @vendor ORDER BY seq DESC LIMIT @limit`,
    ).all({ vendor: vendor ?? null, limit }) as Pick<Row, keyof Row & keyof SubmissionRow>[];
    return rows.map((row) => {
      const verdicts = this.#verdicts(row.id);
      const refused = verdicts.filter(({ ok }) => !ok).map(({ check }) => check);
      return {
        ...row,
        checks: verdicts.length,
        refused: [...new Set(refused)],
        rescan: row.rescan === 1,
      };
    });
  }

  #verdicts(id: string): Verdict[] {
    const rows = prepared(
      this.#db,
      'SELECT name, ok, detail, code FROM verdicts WHERE submission = ? ORDER BY position',
    ).all(id) as { name: string; ok: number; detail: string; code: Code | null }[];
    return rows.map(({ name, ok, detail, code }) => ({
      check: name,
      ok: ok === 1,
      detail,
      ...(code === null ? {} : { code }),
    }));
  }

  #writeVerdicts(id: string, verdicts: readonly Verdict[]): void {
    const count = prepared(this.#db, 'SELECT count(*) AS n FROM verdicts WHERE submission = ?');
    const { n: before } = count.get(id) as { n: number };
    const insert = prepared(
      this.#db,
      `INSERT INTO verdicts (submission, position, name, ok, detail, code)
       VALUES (?, ?, ?, ?, ?, ?)`,
    );
    verdicts.forEach(({ check, ok, detail, code }, i) => {
      insert.run(id, before + i, check, ok ? 1 : 0, detail, code ?? null);
    });
  }

  /** The operators' first hand-in that waits. */
  nextOfOperators(): QueuedSubmission | undefined {
    const [first] = this.#waiting('vendor IS NULL', 1);
    return first;
  }

  /**
   * Of each vendor the first one that waits and came before the operators' next, in the order in
   * which they came: a vendor's second one is judged by what its first made current.
   */
  nextOfVendors(limit: number): QueuedSubmission[] {
    return this.#waiting(
      `seq IN (SELECT min(seq) FROM ready WHERE vendor IS NOT NULL GROUP BY vendor)
       AND seq < coalesce((SELECT min(seq) FROM ready WHERE vendor IS NULL), seq + 1)`,
      limit,
    );
  }

  #waiting(condition: string, limit: number): QueuedSubmission[] {
    const rows = prepared(
      this.#db,
      `SELECT id, vendor, role, version FROM ready WHERE ${condition} ORDER BY seq LIMIT ?`,
    ).all(limit) as Omit<QueuedSubmission, 'files' | 'below'>[];
    return rows.map((row) => ({ ...row, files: this.#files(row.id), below: this.below(row.id) }));
  }

  /** Everything that is not at its end, what waits for reviewers too. */
  unfinished(): QueuedSubmission[] {
    const rows = prepared(
      this.#db,
      "SELECT id, vendor, role, version FROM submissions WHERE state = 'queued' ORDER BY seq",
    ).all() as Omit<QueuedSubmission, 'files' | 'below'>[];
    return rows.map((row) => ({ ...row, files: this.#files(row.id), below: this.below(row.id) }));
  }

  #files(id: string): Uint8Array[] {
    const rows = prepared(
      this.#db,
      'SELECT bytes FROM submission_files WHERE submission = ? ORDER BY position',
    ).all(id) as { bytes: Uint8Array }[];
    return rows.map(({ bytes }) => new Uint8Array(bytes));
  }

  /** Roles below the vendor's own that were submitted with it, or alone. */
  below(id: string): UploadedRole[] {
    return prepared(
      this.#db,
      'SELECT role, sha256 FROM submission_bins WHERE submission = ? ORDER BY role',
    ).all(id) as UploadedRole[];
  }

  /** The vendor's own role file of one that is not at its end; undefined for none. */
  ownFile(id: string): Uint8Array | undefined {
    const [own] = this.#files(id);
    return own;
  }

  /** More that was found about one that goes on. */
  note(id: string, verdicts: readonly Verdict[]): void {
    this.#writeVerdicts(id, verdicts);
  }

  /** It will not be published. Its files are dropped, what was found stays. */
  refuse(id: string, error: ErrorBody, verdicts: readonly Verdict[]): void {
    inTransaction(this.#db, () => {
      prepared(this.#db, "UPDATE submissions SET state = 'refused', error = ? WHERE id = ?").run(
        JSON.stringify(error),
        id,
      );
      this.#dropFiles(id);
      this.#writeVerdicts(id, verdicts);
    });
    this.#onRefused({ code: error.code, role: null });
  }

  /** It is published. Inside the transaction of the journal that says so too. */
  publish(id: string, versions: { readonly snapshot: number; readonly timestamp: number }): void {
    prepared(
      this.#db,
      "UPDATE submissions SET state = 'published', snapshot = ?, timestamp = ? WHERE id = ?",
    ).run(versions.snapshot, versions.timestamp, id);
    this.#dropFiles(id);
  }

  #dropFiles(id: string): void {
    for (const table of ['submission_files', 'submission_bins'])
      prepared(this.#db, `DELETE FROM ${table} WHERE submission = ?`).run(id);
  }

  /** Forgets what was refused before `since`. */
  prune(since: Instant): void {
    inTransaction(this.#db, () => {
      prepared(this.#db, "DELETE FROM submissions WHERE state = 'refused' AND created < ?").run(
        since,
      );
    });
  }
}

function readError(text: string): ErrorBody {
  const tree = parseJson(utf8(text), { length: SERVER_LIMITS.body });
  const result = errorBody.safeParse(tree);
  if (result.success) return result.data;
  throw new IronError('E_STORE', 'an error in the database is unreadable', {
    why: fromUtf8(utf8(text)).slice(0, 80),
  });
}
