/** Drafts: changes that lack signatures, kept until they have them or their time is over. */

import * as z from 'zod';
import { type DraftFile, draftReply } from '../../shared/api/pending.ts';
import type { ErrorBody } from '../../shared/api/upload.ts';
import { errorBody } from '../../shared/api/upload.ts';
import { IronError } from '../../shared/errors.ts';
import { DRAFT_LIMITS } from '../../shared/limits.ts';
import type { Instant } from '../../shared/time.ts';
import { type Db, inTransaction } from './open.ts';

/**
 * What a draft is: `submitted` when it has all of its signatures and is a submission now, or was
 * published with another one; then it names none.
 */
export type StoredState = 'open' | 'submitted' | EndState;
export type EndState = 'refused' | 'stale' | 'expired' | 'dropped';

export interface StoredDraft {
  readonly id: string;
  /** Null for one of the operators. */
  readonly vendor: string | null;
  readonly state: StoredState;
  readonly files: readonly DraftFile[];
  readonly submission: string | null;
  readonly error: ErrorBody | null;
  readonly created: Instant;
  readonly expires: Instant;
}

export interface NewDraft {
  readonly id: string;
  readonly vendor: string | null;
  /** The key whose signature began it. */
  readonly opener: string;
  readonly expires: Instant;
}

/** What is held of a draft from now on: its files, and what is said about them. */
export interface DraftContent {
  readonly about: readonly DraftFile[];
  readonly files: readonly Uint8Array[];
}

interface Row extends Omit<StoredDraft, 'files' | 'error'> {
  readonly files: string;
  readonly error: string | null;
}

const aboutFiles = z.array(draftReply.shape.files.element);

export class Drafts {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  /**
   * Holds `draft`, or changes the one that is held under its id: `change` is given the files as they
   * are now, undefined for a new one, and nothing else writes in between, so that of two signers at
   * once neither loses a signature. Durable on return. `E_QUOTA` when too many are open.
   */
  hold(
    draft: NewDraft,
    now: Instant,
    change: (held: readonly Uint8Array[] | undefined) => DraftContent,
  ): void {
    inTransaction(this.#db, () => {
      const isHeld = this.get(draft.id)?.state === 'open';
      const held = isHeld ? this.files(draft.id) : undefined;
      const { about, files } = change(held);
      // Anybody may bring once more what everybody can read: that must not cost a write.
      if (held !== undefined && isSame(held, files)) return;
      if (isHeld) {
        this.#db
          .prepare('UPDATE drafts SET files = ? WHERE id = ?')
          .run(JSON.stringify(about), draft.id);
      } else {
        this.#demandRoom(draft);
        // What ended under this name is brought once more.
        this.#db.prepare('DELETE FROM drafts WHERE id = ?').run(draft.id);
        this.#db
          .prepare(
            `INSERT INTO drafts (id, vendor, opener, state, files, created, expires)
             VALUES (@id, @vendor, @opener, 'open', @files, @now, @expires)`,
          )
          .run({ ...draft, files: JSON.stringify(about), now });
      }
      const write = this.#db.prepare(
        'INSERT OR REPLACE INTO draft_files (draft, position, bytes) VALUES (?, ?, ?)',
      );
      files.forEach((bytes, position) => {
        write.run(draft.id, position, bytes);
      });
    });
  }

  #demandRoom({ vendor, opener }: NewDraft): void {
    const count = (condition: string, ...values: (string | null)[]): number => {
      const sql = `SELECT count(*) AS open FROM drafts WHERE state = 'open' AND ${condition}`;
      return (this.#db.prepare(sql).get(...values) as { open: number }).open;
    };
    const byKey = count('opener = ?', opener);
    const all = count('vendor IS ?', vendor);
    if (byKey < DRAFT_LIMITS.openByKey && all < DRAFT_LIMITS.open) return;
    throw new IronError('E_QUOTA', `${Math.max(byKey, all)} changes wait for signatures already`, {
      why: `of what one key began ${DRAFT_LIMITS.openByKey} may wait, and ${DRAFT_LIMITS.open} in all`,
      hint: 'nothing was changed; finish one of them, or wait until one runs out',
      context: { waiting: all },
    });
  }

  get(id: string): StoredDraft | undefined {
    const row = this.#db.prepare('SELECT * FROM drafts WHERE id = ?').get(id) as Row | undefined;
    return row && draftOf(row);
  }

  /** The bytes of its files; none when it has ended. */
  files(id: string): Uint8Array[] {
    const rows = this.#db
      .prepare('SELECT bytes FROM draft_files WHERE draft = ? ORDER BY position')
      .all(id) as { bytes: Uint8Array }[];
    return rows.map(({ bytes }) => new Uint8Array(bytes));
  }

  /** Those of one vendor, or of the operators, newest first. */
  list(vendor: string | null): StoredDraft[] {
    const rows = this.#db
      .prepare('SELECT * FROM drafts WHERE vendor IS ? ORDER BY seq DESC')
      .all(vendor) as Row[];
    return rows.map(draftOf);
  }

  /** Every one that waits, of whomever. */
  open(): StoredDraft[] {
    const rows = this.#db.prepare("SELECT * FROM drafts WHERE state = 'open'").all() as Row[];
    return rows.map(draftOf);
  }

  /**
   * It is a submission now. Inside the transaction that adds the submission, which `E_CONFLICT`
   * undoes: somebody else was first.
   */
  submitted(id: string, submission: string): void {
    const { changes } = this.#db
      .prepare(
        "UPDATE drafts SET state = 'submitted', submission = ? WHERE id = ? AND state = 'open'",
      )
      .run(submission, id);
    if (changes !== 1)
      throw new IronError('E_CONFLICT', 'somebody else handed this change in meanwhile', {
        context: { id },
      });
    this.#db.prepare('DELETE FROM draft_files WHERE draft = ?').run(id);
  }

  /** What it says is published: somebody handed it in whole, with what goes along. */
  settle(id: string): void {
    inTransaction(this.#db, () => {
      const { changes } = this.#db
        .prepare("UPDATE drafts SET state = 'submitted' WHERE id = ? AND state = 'open'")
        .run(id);
      if (changes === 1) this.#db.prepare('DELETE FROM draft_files WHERE draft = ?').run(id);
    });
  }

  /** It will not be published. Its files are dropped, and why is remembered. */
  end(id: string, state: EndState, error: ErrorBody): void {
    inTransaction(this.#db, () => {
      this.#db
        .prepare("UPDATE drafts SET state = ?, error = ? WHERE id = ? AND state = 'open'")
        .run(state, JSON.stringify(error), id);
      this.#db
        .prepare(
          "DELETE FROM draft_files WHERE draft IN (SELECT id FROM drafts WHERE id = ? AND state <> 'open')",
        )
        .run(id);
    });
  }

  /** Forgets what ended long ago, and all but the newest of those. */
  forget(vendor: string | null, now: Instant): void {
    inTransaction(this.#db, () => {
      this.#db
        .prepare(
          `DELETE FROM drafts WHERE state <> 'open' AND vendor IS @vendor
             AND (created < @since OR seq IN (
               SELECT seq FROM drafts WHERE state <> 'open' AND vendor IS @vendor
               ORDER BY seq DESC LIMIT -1 OFFSET @kept))`,
        )
        .run({ vendor, since: now - DRAFT_LIMITS.endedSeconds, kept: DRAFT_LIMITS.ended });
    });
  }
}

function isSame(held: readonly Uint8Array[], files: readonly Uint8Array[]): boolean {
  return (
    held.length === files.length &&
    held.every((bytes, i) => Buffer.compare(bytes, files[i] as Uint8Array) === 0)
  );
}

function draftOf({ files, error, ...row }: Row): StoredDraft {
  const { id, vendor, state, submission, created, expires } = row;
  const said = { files: aboutFiles.parse(JSON.parse(files)) };
  return {
    ...{ id, vendor, state, submission, created, expires },
    ...said,
    error: error === null ? null : errorBody.parse(JSON.parse(error)),
  };
}
