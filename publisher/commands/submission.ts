/** `submission`: what became of something that was handed in. */

import type { SubmissionReply } from '../../shared/api/upload.ts';
import type { CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { seePublished } from '../hand-in.ts';
import { loadInReview, waitWords } from '../in-review.ts';
import { apiOf, REPOSITORY_OPTION, ROOT_OPTION, type Session, withSession } from '../session.ts';
import { DIR_OPTION, PASSPHRASE_OPTION } from '../signers.ts';
import { ask, verdictLine } from '../upload/submission.ts';

export const submissionCommand: CommandSpec = {
  name: 'submission',
  summary: 'ask what became of something that was handed in',
  description:
    'For what waits for the reviewers of a repository: says how far they are (exit status 75), why it was refused, or, seen with the own client, that it is published. Also what the scanner of a repository said later of what is published, by the id that its operators name (exit status 16 when it says more than that all is well). Nothing is uploaded or signed again.',
  arguments: [{ name: 'id', description: 'of the submission, as `publish` said it' }],
  options: [REPOSITORY_OPTION, DIR_OPTION, ROOT_OPTION, PASSPHRASE_OPTION],
  examples: [
    'ironport submission 5f0c9a31e2d44bb09f1d7c3a86b0e5f2 --dir acme --repository http://127.0.0.1:8080',
  ],
  schema: 'ironport/submission/v1',
  run: (context) => withSession(context, askAfter),
};

async function askAfter(session: Session): Promise<CommandResult> {
  const { context, config, dir } = session;
  const { vendor } = config;
  const id = context.args[0] as string;
  if (!/^[0-9a-f]{32}$/.test(id))
    throw new IronError('E_USAGE', `${JSON.stringify(id.slice(0, 80))} is no id of a submission`, {
      hint: '`ironport publish` says it when something waits',
    });
  const api = await apiOf(session);
  const reply = await ask(api, id);
  if (reply.state === 'in-review')
    return {
      data: dataOf(reply, null),
      text: `${reply.role} ${reply.version} waits for the repository's reviewers: ${waitWords(reply.review)}`,
      exit: 75,
    };
  if (reply.rescan === true) return rescanned(reply);
  const bytes = await loadInReview(dir, id);
  // Signatures were counted when it was handed in.
  const signed = bytes && { bytes, role: parseTargets(bytes, vendor), have: 0, need: 0 };
  const { snapshot, timestamp } = await seePublished(session, api, reply, signed);
  return {
    data: dataOf({ ...reply, state: 'published' }, { snapshot, timestamp }),
    text: `${reply.role} ${reply.version} is published, and the own client sees it`,
  };
}

/** No submission: what the repository's scanner said later. It is published, and stays so. */
function rescanned(reply: SubmissionReply): CommandResult {
  const { role, verdicts, published } = reply;
  const isClean = verdicts.every(({ ok }) => ok);
  return {
    data: dataOf(reply, published ?? null),
    text: [
      `the repository's scanner looked at what is published of ${role}: ${isClean ? 'nothing was found' : 'see what it said'}`,
      ...verdicts.map((verdict) => `  ${verdictLine(verdict)}`),
      ...(isClean ? [] : ['nothing was changed; `ironport withdraw` takes a version back']),
    ].join('\n'),
    ...(isClean ? {} : { exit: 16 }),
  };
}

function dataOf(
  { id, state, role, version, verdicts, review }: SubmissionReply,
  published: { readonly snapshot: number; readonly timestamp: number } | null,
): object {
  return { id, state, role, version, verdicts, review: review ?? null, published };
}
