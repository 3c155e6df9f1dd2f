/** `ironport-agent recover`: undoes what a crash left half done. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { asIronError, type IronError } from '../../shared/errors.ts';
import { type Recovered, recoverDevice, unfinished } from '../recover.ts';
import { settleUpgrade } from '../upgrade.ts';
import { listUpgrades } from '../upgrade-note.ts';
import { openAgent, openSysfs, STATE, SYSFS, TIMEOUTS } from './options.ts';

type RecoveredHere = Omit<Recovered, 'outcome'> & { readonly outcome: string };

export const recoverCommand: CommandSpec = {
  name: 'recover',
  summary: 'undo, or close, changes of devices that did not end',
  description:
    '`apply` and `release` do the same for their device first. An upgrade that was broken off between ' +
    'two versions is brought back to the one before, after every gate again. A device with a write that still ' +
    'waits in the kernel is reported and left alone.',
  options: [STATE, SYSFS, ...TIMEOUTS],
  examples: ['ironport-agent recover'],
  schema: 'ironport-agent/recover/v1',
  async run(context) {
    const agent = openAgent(context, { timeouts: true });
    const sysfs = await openSysfs(context);
    const recovered: RecoveredHere[] = [];
    let failed: IronError | undefined;
    await agent.alone(async () => {
      const changes = await unfinished(agent);
      for (const device of new Set([...changes, ...(await listUpgrades(agent))])) {
        try {
          if (changes.includes(device)) recovered.push(await recoverDevice(agent, sysfs, device));
          const outcome = await settleUpgrade(agent, sysfs, device);
          if (outcome !== undefined)
            recovered.push({ device, outcome: `upgrade ${outcome}`, undone: [] });
        } catch (thrown) {
          // The other devices are served all the same.
          const error = asIronError(thrown);
          context.ui.warn(`${device}: ${error.message}`);
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
