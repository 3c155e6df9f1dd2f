/** `lost declare`: what no copy has any more of a published tree, in the words of the operators. */

import { join } from 'node:path';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { data } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { expiryFor } from '../ceremony/expiry.ts';
import { loadRoot, loadTargets } from '../ceremony/files.ts';
import { follow, verifyBase } from '../ceremony/follow.ts';
import { withLost } from '../ceremony/lost.ts';
import { signersOf } from '../ceremony/signers.ts';
import { DIR_OPTION, homeOf } from '../config.ts';
import { checkTree } from '../publish/fsck.ts';
import { TARGETS_OPTIONS } from './targets.ts';

export const lostDeclare: CommandSpec = {
  name: 'lost declare',
  summary: 'make targets that say which published files are lost for good',
  description:
    'Verifies the tree of the folder, and names what lacks in it and no reader is sent to: old versions of roles, and bytes that only these list. After `mend`, when no copy has them. Once that is published, `fsck` goes by it and a backup of the tree can be restored. What is in force, and roots, cannot be called lost.',
  options: [DIR_OPTION, ...TARGETS_OPTIONS],
  examples: [
    'ironport-repo lost declare --dir repo-data --targets 7.targets.json --root 1.root.json --key t1.json --out 8.targets.json',
  ],
  schema: 'ironport-repo/lost-declare/v1',
  async run(context) {
    const root = await loadRoot(context.need('root'));
    const targets = await loadTargets(context.need('targets'));
    verifyBase(targets, root);
    const folder = join(homeOf(context), data.tree);
    const { signal } = context;
    const { missing } = await checkTree(folder, { crypto, clock: systemClock, signal });
    const expires = expiryFor(context, 'targets', systemClock());
    const { data: made, text } = await follow(context, {
      before: { type: 'targets', file: targets },
      tree: withLost(targets, missing, expires),
      root,
      signers: await signersOf(context),
      out: context.need('out'),
    });
    return { data: { ...made, lost: missing }, text };
  },
};
