/** The submission that reviewers are asked about: as the service shows it, or from a folder. */

import { type ReviewReply, reviewList, reviewReply } from '../../shared/api/review.ts';
import type { CommandContext } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { api } from '../../shared/layout.ts';
import { askService } from './ask-service.ts';
import { reachOf } from './drafts.ts';
import { readReviewFolder } from './review-folder.ts';

export const SUBMISSION = {
  name: 'submission',
  description: 'its id, or 8 digits or more of it',
} as const;

export async function listed(context: CommandContext, all: boolean) {
  const path = `${api.reviews}${all ? '?all' : ''}`;
  return await askService(context, await reachOf(context), { path, answer: reviewList });
}

/** The submission that the command line names. `E_NOT_FOUND`, `E_USAGE`. */
export async function fetchReview(context: CommandContext): Promise<ReviewReply> {
  const given = context.args[0] as string;
  if (!/^[0-9a-f]{8,32}$/.test(given))
    throw new IronError(
      'E_USAGE',
      `${JSON.stringify(given.slice(0, 80))} is no id of a submission`,
    );
  const { reviews } = await listed(context, true);
  const [found, second] = reviews.filter(({ id }) => id.startsWith(given));
  if (second !== undefined)
    throw new IronError('E_USAGE', `${given} begins several ids; give more of it`);
  if (found === undefined)
    throw new IronError('E_NOT_FOUND', `no submission ${given} was put before the reviewers`, {
      hint: '`ironport-repo review list --all` shows those that were',
    });
  const path = api.review(found.id);
  return await askService(context, await reachOf(context), { path, answer: reviewReply });
}

export async function carried(context: CommandContext, folder: string): Promise<ReviewReply> {
  const review = await readReviewFolder(folder);
  const given = context.args[0] as string;
  if (given.length >= 8 && review.id.startsWith(given)) return review;
  throw new IronError('E_CONFLICT', `${folder} holds the submission ${review.id}`, {
    hint: 'nothing was signed; name the submission that was looked at',
  });
}
