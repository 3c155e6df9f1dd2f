/** `promote`: a version to another channel, or to more hosts. A signature of the vendor. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { promoted } from '../../shared/product/change-index.ts';
import { publishIndex, readRelease } from '../change-index.ts';
import { loadSaying, readChannel, readPercent, SAYING_OPTIONS } from '../channel-options.ts';
import { REPOSITORY_OPTION, ROOT_OPTION, withSession } from '../session.ts';
import { DIR_OPTION, PASSPHRASE_OPTION } from '../signers.ts';

export const promote: CommandSpec = {
  name: 'promote',
  summary: 'offer a published version in another channel, or to more or fewer hosts',
  description:
    'Signs the index of the product with the new channel and share, and publishes it. A smaller share or an earlier channel stops a rollout; hosts that took the version keep it.',
  arguments: [{ name: 'release', description: 'PRODUCT@VERSION' }],
  options: [
    { flags: '--channel <name>', description: 'testing or stable; without it, as it is' },
    { flags: '--rollout <percent>', description: 'share of the hosts: 10%; without it, as it is' },
    ...SAYING_OPTIONS,
    REPOSITORY_OPTION,
    DIR_OPTION,
    ROOT_OPTION,
    PASSPHRASE_OPTION,
  ],
  examples: [
    'ironport promote edu@1.0.0 --channel stable --rollout 10% --dir acme --repository http://127.0.0.1:8080',
    'ironport promote edu@1.0.0 --rollout 100% --dir acme --repository http://127.0.0.1:8080',
  ],
  schema: 'ironport/promote/v1',
  run: (context) =>
    withSession(context, async (session) => {
      const release = readRelease(context.args[0] as string, session.config.vendor);
      const channel = context.text('channel');
      const rollout = context.text('rollout');
      const promotion = {
        ...(channel === undefined ? {} : { channel: readChannel(channel) }),
        ...(rollout === undefined ? {} : { rolloutPercent: readPercent(rollout) }),
        ...(await loadSaying(context)),
      };
      if (Object.keys(promotion).length === 0) {
        throw new IronError('E_USAGE', 'nothing to change was given', {
          hint: 'give --channel, --rollout, --notes or --fixes',
        });
      }
      return publishIndex(session, release, (index) => promoted(index, release.version, promotion));
    }),
};
