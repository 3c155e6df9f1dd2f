/** The journal of publications: how far each one came, so that a crash can be finished or undone. */

import type { Instant } from '../../shared/time.ts';
import type { BlobIndex, PublishedBlob } from './blob-index.ts';
import { type Db, inQuickTransaction, inTransaction, prepared } from './open.ts';
import type { Queue } from './queue.ts';

/** In this order. From `preflighted` on a publication is finished, before that it is dropped. */
export type PublicationState = 'staged' | 'signed' | 'preflighted' | 'committed';

export interface Publication {
  readonly id: string;
  readonly state: PublicationState;
  /** SHA-256 of the timestamp that stood when it began, or empty: the fence of the commit. */
  readonly base: string;
  /** The new root becomes visible after the timestamp, and not before. */
  readonly rootLast: boolean;
  /** Submissions that it publishes. */
  readonly members: readonly string[];
}

export class Journal {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  /** Notes a publication whose files are staged. Until it is preflighted, losing that drops it. */
  begin(publication: Omit<Publication, 'state' | 'rootLast'>, now: Instant): void {
    inQuickTransaction(this.#db, () => {
      prepared(
        this.#db,
        "INSERT INTO publications (id, state, base, created) VALUES (?, 'staged', ?, ?)",
      ).run(publication.id, publication.base, now);
      const member = prepared(
        this.#db,
        'INSERT INTO publication_members (publication, submission) VALUES (?, ?)',
      );
      for (const id of publication.members) member.run(publication.id, id);
    });
  }

  signed(id: string): void {
    inQuickTransaction(this.#db, () => {
      prepared(this.#db, "UPDATE publications SET state = 'signed' WHERE id = ?").run(id);
    });
  }

  preflighted(id: string, rootLast: boolean): void {
    inTransaction(this.#db, () => {
      prepared(
        this.#db,
        "UPDATE publications SET state = 'preflighted', root_last = ? WHERE id = ?",
      ).run(rootLast ? 1 : 0, id);
    });
  }

  /** The publication, its submissions and the index, in one transaction. */
  committed(
    publication: Publication,
    versions: { readonly snapshot: number; readonly timestamp: number },
    queue: Queue,
    index: BlobIndex,
    blobs: Iterable<PublishedBlob>,
  ): void {
    inTransaction(this.#db, () => {
      prepared(this.#db, "UPDATE publications SET state = 'committed' WHERE id = ?").run(
        publication.id,
      );
      for (const id of publication.members) queue.publish(id, versions);
      index.add(blobs);
      index.reaches(versions.timestamp);
    });
  }

  /** It never was; its submissions wait again. */
  discard(id: string): void {
    inTransaction(this.#db, () => {
      prepared(this.#db, 'DELETE FROM publications WHERE id = ?').run(id);
    });
  }

  /** Those that a crash left unfinished, oldest first. */
  unfinished(): Publication[] {
    const rows = prepared(
      this.#db,
      `SELECT id, state, base, root_last FROM publications
         WHERE state <> 'committed' ORDER BY rowid`,
    ).all() as { id: string; state: PublicationState; base: string; root_last: number }[];
    return rows.map(({ id, state, base, root_last }) => ({
      id,
      state,
      base,
      rootLast: root_last === 1,
      members: (
        prepared(this.#db, 'SELECT submission FROM publication_members WHERE publication = ?').all(
          id,
        ) as { submission: string }[]
      ).map(({ submission }) => submission),
    }));
  }
}
