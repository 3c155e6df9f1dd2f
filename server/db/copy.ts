/** A copy of the database for a backup, made beside a service that writes. */

import { errorBodyOf } from '../../shared/api/upload.ts';
import { IronError } from '../../shared/errors.ts';
import { inTransaction, openDatabase, readingOnly, translated } from './open.ts';

/**
 * Copies the database at `from` as it is at one instant to a new file at `to`. What was not
 * published stays behind: files that a vendor handed in and nobody may see yet are not in it, and
 * whoever asks is told to send them again.
 */
export async function copyDatabase(from: string, to: string): Promise<void> {
  // One read transaction, however much is written meanwhile (sqlite.org/lang_vacuum.html).
  readingOnly(from, (source) => source.prepare('VACUUM INTO ?').run(to));
  const copy = openDatabase(to);
  try {
    const error = new IronError('E_TRY_AGAIN', 'the repository was restored from a backup', {
      why: 'this had not been published when the backup was made',
      hint: 'it is not published; send it again',
    });
    inTransaction(copy, () => {
      for (const table of [
        'publication_members',
        'publications',
        'submission_files',
        'submission_bins',
      ])
        copy.prepare(`DELETE FROM ${table}`).run();
      // What waits for a vendor's other signers is as unpublished; the operators' is nobody's secret.
      copy.prepare('DELETE FROM drafts WHERE vendor IS NOT NULL').run();
      // What the checks said of it names what is in it, and so does what is shown to reviewers.
      copy
        .prepare(
          "DELETE FROM reviews WHERE submission IN (SELECT id FROM submissions WHERE state = 'queued')",
        )
        .run();
      copy
        .prepare(
          "DELETE FROM verdicts WHERE submission IN (SELECT id FROM submissions WHERE state = 'queued')",
        )
        .run();
      copy
        .prepare("UPDATE submissions SET state = 'refused', error = ? WHERE state = 'queued'")
        .run(JSON.stringify(errorBodyOf(error)));
    });
    // One file, without what was deleted.
    translated(copy, () => {
      copy.pragma('journal_mode = DELETE');
      copy.exec('VACUUM');
    });
  } finally {
    copy.close();
  }
}
