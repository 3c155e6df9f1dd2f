/** `retention set` and `retention clear`: how long bytes stay that nothing lists any more. */

import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { parseSpan } from '../../shared/time.ts';
import type { Retention } from '../../shared/tuf/retention.ts';
import { expiryFor } from '../ceremony/expiry.ts';
import { loadRoot, loadTargets } from '../ceremony/files.ts';
import { follow, verifyBase } from '../ceremony/follow.ts';
import { withRetention } from '../ceremony/retention.ts';
import { signersOf } from '../ceremony/signers.ts';
import { TARGETS_OPTIONS } from './targets.ts';

export const retentionSet: CommandSpec = {
  name: 'retention set',
  summary: 'make targets that promise how long bytes stay after they were listed last',
  description:
    'The window counts from the expiry of the last snapshot that listed a target. With signatures by the operators it is published like everything else in the targets, and holds for what is listed from then on; what was promised before is kept.',
  options: [
    { flags: '--window <span>', description: '90d, 2y; at least 7d', required: true },
    { flags: '--grace <span>', description: 'added to it, at least 1d', default: '7d' },
    ...TARGETS_OPTIONS,
  ],
  examples: [
    'ironport-repo retention set --window 1y --targets 7.targets.json --root 1.root.json --key t1.json --out 8.targets.json',
  ],
  schema: 'ironport-repo/retention-set/v1',
  run: (context) =>
    make(context, {
      window: parseSpan(context.need('window')),
      grace: parseSpan(context.need('grace')),
    }),
};

export const retentionClear: CommandSpec = {
  name: 'retention clear',
  summary: 'make targets that name no window: nothing is collected any more',
  description: 'Bytes that nothing lists any more are then kept until a window is published again.',
  options: TARGETS_OPTIONS,
  examples: [
    'ironport-repo retention clear --targets 8.targets.json --root 1.root.json --key t1.json --out 9.targets.json',
  ],
  schema: 'ironport-repo/retention-clear/v1',
  run: (context) => make(context, undefined),
};

async function make(
  context: CommandContext,
  retention: Retention | undefined,
): Promise<CommandResult> {
  const root = await loadRoot(context.need('root'));
  const targets = await loadTargets(context.need('targets'));
  verifyBase(targets, root);
  const expires = expiryFor(context, 'targets', systemClock());
  const { data, text } = await follow(context, {
    before: { type: 'targets', file: targets },
    tree: withRetention(targets, retention, expires),
    root,
    signers: await signersOf(context),
    out: context.need('out'),
  });
  return {
    data: { ...data, window: retention?.window ?? null, grace: retention?.grace ?? null },
    text,
  };
}
