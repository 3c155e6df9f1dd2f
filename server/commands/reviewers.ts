/** `reviewers set` and `reviewers clear`: who reviews what vendors hand in. */

import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { keyId } from '../../shared/tuf/key.ts';
import type { Reviewers } from '../../shared/tuf/reviewers.ts';
import { expiryFor } from '../ceremony/expiry.ts';
import { loadRoot, loadTargets } from '../ceremony/files.ts';
import { follow, verifyBase } from '../ceremony/follow.ts';
import { withReviewers } from '../ceremony/reviewers.ts';
import { participants, signersOf } from '../ceremony/signers.ts';
import { TARGETS_OPTIONS } from './targets.ts';

export const reviewersSet: CommandSpec = {
  name: 'reviewers set',
  summary: 'make targets that name who reviews what vendors hand in, and how many must agree',
  description:
    'Writes the next version of the targets with these reviewers and no others. With --agree 2 an approval takes two distinct keys. A reviewer has no key of a vendor, nor one of the service. What waits for review, `review require` says.',
  options: [
    {
      flags: '--reviewer <key>',
      description: "a reviewer's public half, or a signer URI; may be given several times",
      repeatable: true,
      required: true,
    },
    { flags: '--agree <n>', description: 'how many of them must approve', default: '1' },
    ...TARGETS_OPTIONS,
  ],
  examples: [
    'ironport-repo reviewers set --reviewer rev-1.pub.json --reviewer rev-2.pub.json --agree 2 --targets 7.targets.json --root 1.root.json --key t1.json --out 8.targets.json',
  ],
  schema: 'ironport-repo/reviewers-set/v1',
  async run(context) {
    const people = await participants(context, context.list('reviewer'));
    const threshold = context.number('agree', 1) ?? 1;
    return await make(context, { keys: people.map(({ key }) => key), threshold });
  },
};

export const reviewersClear: CommandSpec = {
  name: 'reviewers clear',
  summary: 'make targets that name no reviewers',
  description: 'What waits for review then waits until its time is over, and is refused.',
  options: TARGETS_OPTIONS,
  examples: [
    'ironport-repo reviewers clear --targets 8.targets.json --root 1.root.json --key t1.json --out 9.targets.json',
  ],
  schema: 'ironport-repo/reviewers-clear/v1',
  run: (context) => make(context, undefined),
};

async function make(
  context: CommandContext,
  reviewers: Reviewers | undefined,
): Promise<CommandResult> {
  const root = await loadRoot(context.need('root'));
  const targets = await loadTargets(context.need('targets'));
  verifyBase(targets, root);
  const expires = expiryFor(context, 'targets', systemClock());
  const { data, text } = await follow(context, {
    before: { type: 'targets', file: targets },
    tree: withReviewers(targets, reviewers, expires),
    root,
    signers: await signersOf(context),
    out: context.need('out'),
  });
  return {
    data: {
      ...data,
      reviewers: (reviewers?.keys ?? []).map((key) => keyId(crypto, key)),
      agree: reviewers?.threshold ?? null,
    },
    text,
  };
}
