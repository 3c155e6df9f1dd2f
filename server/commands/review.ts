/** `review`: what waits at the service for people to look at, and what they decide. */

import { join } from 'node:path';
import {
  type DecisionReply,
  decisionReply,
  type ReviewReply,
  reviewList,
  reviewReply,
} from '../../shared/api/review.ts';
import { errorFromBody } from '../../shared/api/upload.ts';
import { fromUtf8 } from '../../shared/bytes.ts';
import type {
  CommandContext,
  CommandResult,
  CommandSpec,
  OptionSpec,
} from '../../shared/cli/command.ts';
import { confirm, YES_OPTION } from '../../shared/cli/confirm.ts';
import { table } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { signReview } from '../../shared/evidence/review.ts';
import { api, data } from '../../shared/layout.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { keyId } from '../../shared/tuf/key.ts';
import { parseReviewers } from '../../shared/tuf/reviewers.ts';
import { KEY_OPTION, PASSPHRASE_OPTION, signersOf } from '../ceremony/signers.ts';
import { DIR_OPTION, homeOf } from '../config.ts';
import { CurrentTree } from '../storage/published.ts';
import { REVIEW_POLICIES, saveReviewPolicy } from '../storage/review-policy.ts';
import { askService } from './ask-service.ts';
import { reachOf, URL_OPTION } from './drafts.ts';
import { readReviewFolder, writeReviewFolder } from './review-folder.ts';
import { progressWords, reviewRow, reviewText } from './review-words.ts';

const SUBMISSION = {
  name: 'submission',
  description: 'its id, or 8 digits or more of it',
} as const;

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

const COMMON: readonly OptionSpec[] = [
  KEY_OPTION,
  {
    flags: '--from <folder>',
    description: 'decide about the bytes in a folder that `review show --out` wrote',
  },
  DIR_OPTION,
  URL_OPTION,
  YES_OPTION,
  PASSPHRASE_OPTION,
];

export const reviewApprove: CommandSpec = {
  name: 'review approve',
  summary: 'sign that a submission may be published, and hand the statement in',
  description:
    'The statement names every file by its SHA-256 and counts for this submission alone. With --from the bytes in the folder are hashed first, and --url then reaches a service elsewhere. When enough reviewers agree, the submission is judged once more and published.',
  arguments: [SUBMISSION],
  options: [{ flags: '--comment <text>', description: 'one line for the record' }, ...COMMON],
  examples: [
    'ironport-repo review approve 5f0c9a31 --key rev-1.json --from to-review --dir repo-data',
  ],
  schema: 'ironport-repo/review-approve/v1',
  run: (context) => decide(context, 'approved', context.text('comment')),
};

export const reviewReject: CommandSpec = {
  name: 'review reject',
  summary: 'sign that a submission is not to be published, and why',
  description:
    'One reviewer is enough, and it is final for this submission. The vendor is shown the reason.',
  arguments: [SUBMISSION],
  options: [
    {
      flags: '--reason <text>',
      description: 'one line, which the vendor is shown',
      required: true,
    },
    ...COMMON,
  ],
  examples: [
    'ironport-repo review reject 5f0c9a31 --reason "BAR 2 is not needed" --key rev-1.json --dir repo-data',
  ],
  schema: 'ironport-repo/review-reject/v1',
  run: (context) => decide(context, 'rejected', context.need('reason')),
};

async function decide(
  context: CommandContext,
  result: 'approved' | 'rejected',
  comment: string | undefined,
): Promise<CommandResult> {
  const folder = context.text('from');
  if (folder === undefined && context.text('url') !== undefined)
    throw new IronError('E_USAGE', 'what waits is shown on its own machine only', {
      hint: 'nothing was signed; give --from with a folder that `review show --out` wrote there',
    });
  const review = folder === undefined ? await fetchReview(context) : await carried(context, folder);
  const { id, files } = review;
  const signers = await signersOf(context);
  context.ui.stage(reviewText(review));
  const verb = result === 'approved' ? 'approve' : 'reject';
  await confirm(context, `${verb} ${review.vendor} ${review.version} (${id.slice(0, 12)})?`);
  const statement = await signReview(
    crypto,
    { submission: id, files },
    { result, comment },
    signers,
  );
  const reply = await askService(context, await reachOf(context), {
    method: 'POST',
    path: api.review(id),
    body: JSON.parse(fromUtf8(statement)),
    answer: decisionReply,
  });
  const keys = signers.map(({ key }) => keyId(crypto, key));
  const said = { ...reply, vendor: review.vendor, version: review.version, result, keys };
  // Approved, and refused by what stands now: another version was published meanwhile.
  if (result === 'approved' && reply.error !== null) throw errorFromBody(reply.error);
  return { data: said, text: outcomeText(reply, review) };
}

function outcomeText(reply: DecisionReply, { id, vendor, version }: ReviewReply): string {
  const what = `${vendor} ${version}`;
  switch (reply.state) {
    case 'published':
      return `${what} is approved and published`;
    case 'queued':
      return `${what} is approved and will be published: \`ironport-repo review show ${id.slice(0, 12)}\``;
    case 'refused':
      return `${what} is rejected; the vendor is shown the reason`;
    case 'in-review':
      return `${what} waits on, ${progressWords(reply)}`;
  }
}

async function listed(context: CommandContext, all: boolean) {
  const path = `${api.reviews}${all ? '?all' : ''}`;
  return await askService(context, await reachOf(context), { path, answer: reviewList });
}

/** The submission that the command line names. `E_NOT_FOUND`, `E_USAGE`. */
async function fetchReview(context: CommandContext): Promise<ReviewReply> {
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

async function carried(context: CommandContext, folder: string): Promise<ReviewReply> {
  const review = await readReviewFolder(folder);
  const given = context.args[0] as string;
  if (given.length >= 8 && review.id.startsWith(given)) return review;
  throw new IronError('E_CONFLICT', `${folder} holds the submission ${review.id}`, {
    hint: 'nothing was signed; name the submission that was looked at',
  });
}
