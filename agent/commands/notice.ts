/** `ironport-agent notice DIR`. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { takeNotice } from '../notice.ts';
import { argument, openAgent, STATE } from './options.ts';
import { hitData, hitText } from './show.ts';

export const noticeCommand: CommandSpec = {
  name: 'notice',
  summary: 'learn from a signed index what was withdrawn, and raise the floors of this agent',
  description:
    'DIR is a notice of `ironport-client watch --handoff`: DIR/notice-PRODUCT. It is verified from ' +
    'the root that this agent has pinned. A driver that its vendor withdrew is not bound any more; ' +
    'a device that is bound to it is left as it is, and `release` lets go of it.',
  arguments: [{ name: 'dir', description: 'the folder of the notice' }],
  options: [STATE],
  examples: ['ironport-agent notice /run/ironport/handoff/notice-acme%2Fedu'],
  schema: 'ironport-agent/notice/v1',
  async run(context) {
    const noticed = await takeNotice(openAgent(context), argument(context, 0, 'the folder'));
    const { index, withdrawn, newRoots, checks, hits } = noticed;
    return {
      data: {
        product: `${index.vendor}/${index.product}`,
        revision: index.revision,
        withdrawn: withdrawn.map((entry) => ({
          path: entry.path,
          reason: entry.withdrawn?.reason ?? '',
        })),
        new_roots: newRoots,
        revoked_bindings: hits.map(hitData),
        checks,
      },
      text: [
        ...hits.map(hitText),
        `${index.vendor}/${index.product}: revision ${index.revision} of its index is verified`,
        ...newRoots.map((version) => `root ${version} follows, and is trusted from now on`),
        ...withdrawn.map(
          (entry) =>
            `withdrawn: ${entry.path}, ${entry.withdrawn?.reason ?? ''}; it is bound no more`,
        ),
      ].join('\n'),
    };
  },
};
