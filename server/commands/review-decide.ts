/**
 * `review approve`, `review reject`: a reviewer's decision, signed here and handed in, or written to a
 * file that goes from one reviewer to the next; and `review submit`, which hands such a file in.
 */

import { type DecisionReply, decisionReply, type ReviewReply } from '../../shared/api/review.ts';
import { errorFromBody } from '../../shared/api/upload.ts';
import { fromUtf8 } from '../../shared/bytes.ts';
import type {
  CommandContext,
  CommandResult,
  CommandSpec,
  OptionSpec,
} from '../../shared/cli/command.ts';
import { confirm, YES_OPTION } from '../../shared/cli/confirm.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { IronError } from '../../shared/errors.ts';
import { coSignReview, type Decision, reviewIn, signReview } from '../../shared/evidence/review.ts';
import { api } from '../../shared/layout.ts';
import { REVIEW_LIMITS } from '../../shared/limits.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { readFileCapped, writeFileExclusive } from '../../shared/node/files.ts';
import { keyId } from '../../shared/tuf/key.ts';
import { KEY_OPTION, PASSPHRASE_OPTION, signersOf } from '../ceremony/signers.ts';
import { DIR_OPTION } from '../config.ts';
import { askService } from './ask-service.ts';
import { reachOf, URL_OPTION } from './drafts.ts';
import { carried, fetchReview, SUBMISSION } from './review-fetch.ts';
import { progressWords, reviewText } from './review-words.ts';

const COMMON: readonly OptionSpec[] = [
  KEY_OPTION,
  {
    flags: '--from <folder>',
    description: 'decide about the bytes in a folder that `review show --out` wrote',
  },
  {
    flags: '-o, --out <file>',
    description: 'write the signed statement there and hand nothing in: `review submit` does',
  },
  {
    flags: '--in <file>',
    description: 'a statement that another reviewer signed: sign that one as well',
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
    'The statement names every file by its SHA-256 and counts for this submission alone. With --from the bytes in the folder are hashed first, and --url then reaches a service elsewhere; with --out no service is asked, so that the key may be on a machine without a network. When enough reviewers agree, the submission is judged once more and published.',
  arguments: [SUBMISSION],
  options: [{ flags: '--comment <text>', description: 'one line for the record' }, ...COMMON],
  examples: [
    'ironport-repo review approve 5f0c9a31 --key rev-1.json --from to-review --dir repo-data',
    'ironport-repo review approve 5f0c9a31 --key rev-1.json --from to-review --out approved.json',
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
      description: 'one line, which the vendor is shown; needed without --in',
    },
    ...COMMON,
  ],
  examples: [
    'ironport-repo review reject 5f0c9a31 --reason "BAR 2 is not needed" --key rev-1.json --dir repo-data',
  ],
  schema: 'ironport-repo/review-reject/v1',
  run: (context) => {
    const reason = context.text('reason');
    if (reason === undefined && context.text('in') === undefined)
      throw new IronError('E_USAGE', 'the option --reason is needed', {
        hint: 'nothing was signed; the vendor is shown it',
      });
    return decide(context, 'rejected', reason);
  },
};

export const reviewSubmit: CommandSpec = {
  name: 'review submit',
  summary: 'hand in a statement that reviewers signed elsewhere',
  description:
    'Whoever brings it: it counts by the signatures that it carries, for the submission that it names.',
  arguments: [
    { name: 'file', description: 'what `review approve --out` wrote, or `review reject`' },
  ],
  options: [DIR_OPTION, URL_OPTION],
  examples: ['ironport-repo review submit approved.json --url https://drivers.example'],
  schema: 'ironport-repo/review-submit/v1',
  async run(context) {
    const bytes = await readFileCapped(context.args[0] as string, REVIEW_LIMITS.statement);
    const { submission: id, result } = reviewIn(bytes);
    const reply = await handIn(context, id, result, bytes);
    return { data: { ...reply, result }, text: outcomeText(reply, `the submission ${id}`) };
  },
};

async function decide(
  context: CommandContext,
  result: Decision['result'],
  comment: string | undefined,
): Promise<CommandResult> {
  const folder = context.text('from');
  const out = context.text('out');
  if (folder === undefined && context.text('url') !== undefined)
    throw new IronError('E_USAGE', 'what waits is shown on its own machine only', {
      hint: 'nothing was signed; give --from with a folder that `review show --out` wrote there',
    });
  const review = folder === undefined ? await fetchReview(context) : await carried(context, folder);
  const { id, vendor, version } = review;
  const signers = await signersOf(context);
  const before = await givenStatement(context, comment);
  context.ui.stage(reviewText(review));
  const verb = result === 'approved' ? 'approve' : 'reject';
  await confirm(context, `${verb} ${vendor} ${version} (${id.slice(0, 12)})?`);
  const statement = await signed(review, { result, comment }, signers, before);
  const keys = signers.map(({ key }) => keyId(crypto, key));
  if (out !== undefined) {
    await writeFileExclusive(out, statement);
    return {
      data: { id, vendor, version, result, keys, file: out },
      text: `${out} says that ${vendor} ${version} is ${result}; nothing was handed in: \`ironport-repo review submit ${out}\` does`,
    };
  }
  const reply = await handIn(context, id, result, statement);
  const said = { ...reply, vendor, version, result, keys, file: null };
  return { data: said, text: outcomeText(reply, `${vendor} ${version}`) };
}

/** What another reviewer signed; its comment is shown, since whoever signs it says that too. */
async function givenStatement(
  context: CommandContext,
  comment: string | undefined,
): Promise<Uint8Array | undefined> {
  const path = context.text('in');
  if (path === undefined) return undefined;
  if (comment !== undefined)
    throw new IronError('E_USAGE', 'what was signed has its words already', {
      hint: 'nothing was signed; leave the comment out, or sign a statement of your own without --in',
    });
  const bytes = await readFileCapped(path, REVIEW_LIMITS.statement);
  const { comment: words } = reviewIn(bytes);
  if (words !== undefined) context.ui.note(`it says: ${words}`);
  return bytes;
}

function signed(
  { id, files }: ReviewReply,
  decision: Decision,
  signers: readonly Signer[],
  before: Uint8Array | undefined,
): Promise<Uint8Array> {
  const about = { submission: id, files };
  return before === undefined
    ? signReview(crypto, about, decision, signers)
    : coSignReview(crypto, before, about, decision.result, signers);
}

async function handIn(
  context: CommandContext,
  id: string,
  result: Decision['result'],
  statement: Uint8Array,
): Promise<DecisionReply> {
  const reply = await askService(context, await reachOf(context), {
    method: 'POST',
    path: api.review(id),
    body: JSON.parse(fromUtf8(statement)),
    answer: decisionReply,
  });
  // Approved, and refused by what stands now: another version was published meanwhile.
  if (result === 'approved' && reply.error !== null) throw errorFromBody(reply.error);
  return reply;
}

function outcomeText(reply: DecisionReply, what: string): string {
  switch (reply.state) {
    case 'published':
      return `${what} is approved and published`;
    case 'queued':
      return `${what} is approved and will be published: \`ironport-repo review show ${reply.id.slice(0, 12)}\``;
    case 'refused':
      return `${what} is rejected; the vendor is shown the reason`;
    case 'in-review':
      return `${what} waits on, ${progressWords(reply)}`;
  }
}
