/** `ironport-agent recover`: undoes what a crash left half done. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { asIronError, type IronError } from '../../shared/errors.ts';
import { type Recovered, recoverDevice, unfinished } from '../recover.ts';
import { openAgent, openSysfs, STATE, SYSFS, TIMEOUTS } from './options.ts';

export const recoverCommand: CommandSpec = {
  name: 'recover',
  summary: 'undo, or close, changes of devices that did not end',
  description:
    '`apply` and `release` do the same for their device first. A device with a write that still ' +
    'waits in the kernel is reported and left alone.',
  options: [STATE, SYSFS, ...TIMEOUTS],
  examples: ['ironport-agent recover'],
  schema: 'ironport-agent/recover/v1',
  async run(context) {
    const agent = openAgent(context, { timeouts: true });
    const sysfs = await openSysfs(context);
    const recovered: Recovered[] = [];
    let failed: IronError | undefined;
    await agent.alone(async () => {
      for (const { head } of await unfinished(agent)) {
        try {
          recovered.push(await recoverDevice(agent, sysfs, head.device));
        } catch (thrown) {
          // The other devices are served all the same.
          const error = asIronError(thrown);
          context.ui.warn(`${head.device}: ${error.message}`);
          failed ??= error;
        }
      }
    });
    if (failed !== undefined) throw failed;
    return {
      data: { recovered: recovered.map((one) => ({ ...one })) },
      text:
        recovered.length === 0
          ? 'nothing to recover'
          : recovered
              .map(({ device, outcome, undone }) => [`${device}: ${outcome}`, ...undone].join(', '))
              .join('\n'),
    };
  },
};
