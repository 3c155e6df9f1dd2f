/** `targets renew`: the targets that follow, with a new date and nothing else. */

import type { CommandSpec, OptionSpec } from '../../shared/cli/command.ts';
import { YES_OPTION } from '../../shared/cli/confirm.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { renewedTargets } from '../ceremony/change-vendor.ts';
import { expiryFor } from '../ceremony/expiry.ts';
import { loadRoot, loadTargets } from '../ceremony/files.ts';
import { follow, verifyBase } from '../ceremony/follow.ts';
import { KEY_OPTION, PASSPHRASE_OPTION, signersOf } from '../ceremony/signers.ts';

/** Of every command that makes next targets. */
export const TARGETS_OPTIONS: readonly OptionSpec[] = [
  { flags: '--targets <file>', description: 'the targets in force now', required: true },
  {
    flags: '--root <file>',
    description: 'the root in force: the targets are held to its signatures',
    required: true,
  },
  KEY_OPTION,
  { flags: '-o, --out <file>', description: 'file to write', required: true },
  { flags: '--expires-in <span>', description: 'how long the targets are valid', default: '182d' },
  YES_OPTION,
  PASSPHRASE_OPTION,
];

export const targetsRenew: CommandSpec = {
  name: 'targets renew',
  summary: 'make targets that say the same and are valid longer',
  description:
    'Also for a root that exchanges keys of targets: give it with --next-root, sign with the old and the new keys, and hand in both files together. Signed by both, the targets hold under either root, and no reader is refused in between.',
  options: [
    ...TARGETS_OPTIONS,
    { flags: '--next-root <file>', description: 'the root under which they are to stand' },
  ],
  examples: [
    'ironport-repo targets renew --targets 4.targets.json --root 1.root.json --key t1.json --out 5.targets.json',
  ],
  schema: 'ironport-repo/targets-renew/v1',
  async run(context) {
    const root = await loadRoot(context.need('root'));
    const next = context.text('next-root');
    const targets = await loadTargets(context.need('targets'));
    verifyBase(targets, root);
    const expires = expiryFor(context, 'targets', systemClock());
    const { data, text } = await follow(context, {
      before: { type: 'targets', file: targets },
      tree: renewedTargets(targets, expires),
      root: next === undefined ? root : await loadRoot(next),
      also: root,
      signers: await signersOf(context),
      out: context.need('out'),
    });
    return { data, text };
  },
};
