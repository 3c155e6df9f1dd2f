/** `review`: which submissions wait for people to look at, and what they are shown. */

import { join } from 'node:path';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { data } from '../../shared/layout.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { parseReviewers } from '../../shared/tuf/reviewers.ts';
import { DIR_OPTION, homeOf } from '../config.ts';
import { CurrentTree } from '../storage/published.ts';
import { REVIEW_POLICIES, saveReviewPolicy } from '../storage/review-policy.ts';
import { reachOf } from './drafts.ts';
import { fetchReview, listed, SUBMISSION } from './review-fetch.ts';
import { writeReviewFolder } from './review-folder.ts';
import { reviewRow, reviewText } from './review-words.ts';

export const reviewRequire: CommandSpec = {
  name: 'review require',
  summary: 'say which submissions wait for reviewers: off, first, widens or all',
  description:
    'first: what a vendor brings before it published anything. widens: a new artifact whose ceiling asks for what that of the newest one did not, in the words of `ironport manifest diff`, or that is the first of its product. all: whatever brings bytes. It is written into the folder and holds at once, also for a service that runs; what waits already goes on waiting.',
  arguments: [{ name: 'which', description: REVIEW_POLICIES.join(', ') }],
  options: [DIR_OPTION],
  examples: ['ironport-repo review require widens --dir repo-data'],
  schema: 'ironport-repo/review-require/v1',
  async run(context) {
    const which = REVIEW_POLICIES.find((policy) => policy === context.args[0]);
    if (which === undefined)
      throw new IronError('E_USAGE', `one of ${REVIEW_POLICIES.join(', ')} is expected`, {
        hint: 'nothing was changed',
      });
    const home = homeOf(context);
    await saveReviewPolicy(home, which);
    if (which !== 'off' && !(await hasReviewers(home)))
      context.ui.warn(
        'the signed targets name no reviewers: what waits is refused in the end; `ironport-repo reviewers set` makes targets that do',
      );
    return {
      data: { require: which },
      text:
        which === 'off'
          ? 'nothing that is handed in from now on waits for reviewers'
          : 'from now on these wait for the reviewers that the signed targets name; `ironport-repo review list` shows them',
    };
  },
};

async function hasReviewers(home: string): Promise<boolean> {
  const published = await new CurrentTree(join(home, data.tree), crypto).get();
  return published !== undefined && parseReviewers(published.targets.envelope.signed) !== undefined;
}

export const reviewListCommand: CommandSpec = {
  name: 'review list',
  summary: 'show the submissions that wait for reviewers',
  options: [DIR_OPTION, { flags: '--all', description: 'those that were decided, too' }],
  examples: ['ironport-repo review list --dir repo-data'],
  schema: 'ironport-repo/review-list/v1',
  async run(context) {
    const list = await listed(context, context.flag('all'));
    return {
      data: list,
      text: [
        list.reviews.length === 0
          ? 'no submission waits for reviewers'
          : table([['SUBMISSION', 'WHAT', 'STATE', '', ''], ...list.reviews.map(reviewRow)]),
        `waits by the rule: ${list.require}`,
      ].join('\n'),
    };
  },
};

export const reviewShow: CommandSpec = {
  name: 'review show',
  summary: 'show what the checks found, what the ceilings newly ask for, and fetch the bytes',
  description:
    'Also of a submission that was decided, with the statements of the reviewers. With --out all of its files are written into a new folder, their digests compared, to be looked at here or elsewhere.',
  arguments: [SUBMISSION],
  options: [DIR_OPTION, { flags: '-o, --out <folder>', description: 'a new folder for the bytes' }],
  examples: ['ironport-repo review show 5f0c9a31 --dir repo-data --out to-review'],
  schema: 'ironport-repo/review-show/v1',
  async run(context) {
    const review = await fetchReview(context);
    const out = context.text('out');
    if (out !== undefined) await writeReviewFolder(context, await reachOf(context), review, out);
    return { data: { ...review, folder: out ?? null }, text: reviewText(review) };
  },
};
