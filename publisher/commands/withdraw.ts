/** `withdraw`: a version is offered to nobody any more, for ever. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { withdrawn } from '../../shared/product/change-index.ts';
import { publishIndex, readRelease } from '../change-index.ts';
import { REPOSITORY_OPTION, ROOT_OPTION, withSession } from '../session.ts';
import { DIR_OPTION, PASSPHRASE_OPTION } from '../signers.ts';

export const withdraw: CommandSpec = {
  name: 'withdraw',
  summary: 'withdraw a version for ever, with a reason that every host is shown',
  description:
    'The role lists the version no longer, so that no host can install it, and the index of the product says that it was withdrawn and why. Its name never comes back. The published bytes stay where they are, and provable by the roles that listed them. What runs on hosts goes on running.',
  arguments: [{ name: 'release', description: 'PRODUCT@VERSION' }],
  options: [
    { flags: '--reason <text>', description: 'why, for those who have it', required: true },
    { flags: '--superseded-by <version>', description: 'the version to take instead' },
    REPOSITORY_OPTION,
    DIR_OPTION,
    ROOT_OPTION,
    PASSPHRASE_OPTION,
  ],
  examples: [
    'ironport withdraw edu@1.0.0 --reason "loses writes" --superseded-by 1.0.1 --dir acme --repository http://127.0.0.1:8080',
  ],
  schema: 'ironport/withdraw/v1',
  run: (context) =>
    withSession(context, (session) => {
      const release = readRelease(context.args[0] as string, session.config.vendor);
      const supersededBy = context.text('superseded-by');
      const withdrawal = {
        at: systemClock(),
        reason: context.need('reason'),
        ...(supersededBy === undefined ? {} : { supersededBy }),
      };
      return publishIndex(
        session,
        release,
        (index) => withdrawn(index, release.version, withdrawal),
        true,
      );
    }),
};
