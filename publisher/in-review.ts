/** Submissions that the reviewers of a repository have to look at before they are published. */

import { join } from 'node:path';
import type { SubmissionReply } from '../shared/api/upload.ts';
import { IronError, isIronError } from '../shared/errors.ts';
import { vendorFolder } from '../shared/layout.ts';
import { METADATA_LIMITS } from '../shared/limits.ts';
import { readFileCapped, writeFileAtomic } from '../shared/node/files.ts';
import { ensurePrivateFolder } from '../shared/node/folders.ts';

/** Nothing is wrong, and nothing is published: what a command that waits for that ends with. */
export function inReview({ id, role, version, review }: SubmissionReply): IronError {
  return new IronError('E_IN_REVIEW', `${role} ${version} waits for the repository's reviewers`, {
    why: waitWords(review),
    hint: `nothing has to be uploaded again; ask later what became of it: \`ironport submission ${id} --dir DIR --repository URL\``,
    context: { id, until: review?.until ?? null },
  });
}

/** Why it waits, how far they are, and until when. */
export function waitWords(review: SubmissionReply['review']): string {
  if (review === undefined) return 'the service does not say why';
  const { reasons, approved_by, needed, until } = review;
  const so =
    needed === null ? 'no reviewers are named yet' : `${approved_by} of ${needed} approved`;
  // It is the service that says so: one line, whatever it sends.
  return `${reasons.join('; ')} (${so}; it waits until ${until})`.replaceAll(/\s+/g, ' ');
}

/** Keeps what was handed in, to compare it with what is published in the end. */
export async function keepInReview(dir: string, id: string, bytes: Uint8Array): Promise<void> {
  await ensurePrivateFolder(join(dir, vendorFolder.inReviewFolder));
  await writeFileAtomic(join(dir, vendorFolder.inReview(id)), bytes, { mode: 0o600 });
}

/** What was kept; undefined for what another folder handed in. */
export async function loadInReview(dir: string, id: string): Promise<Uint8Array | undefined> {
  try {
    return await readFileCapped(join(dir, vendorFolder.inReview(id)), METADATA_LIMITS.targets);
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) return undefined;
    throw error;
  }
}
