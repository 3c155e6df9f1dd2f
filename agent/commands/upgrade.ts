/** `ironport-agent upgrade NAME --device ADDRESS`. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { upgrade } from '../upgrade.ts';
import { HOLDING, holdAndShow, requestOf } from './bound.ts';
import {
  DEVICE,
  FLEET_KEYS,
  openAgent,
  openSysfs,
  POLICY,
  STATE,
  SYSFS,
  TIMEOUTS,
} from './options.ts';

export const upgradeCommand: CommandSpec = {
  name: 'upgrade',
  summary: 'bind a device to another version of its driver, or again to the one that it had',
  description:
    'All that can be asked of the new version is asked while the device is still bound for the old ' +
    'one. Then whoever holds the device lets go of it, it is given back, and bound anew. When that ' +
    'fails it is bound for the version before again, if that one is neither revoked nor withdrawn nor ' +
    'below a floor of this host; else it is left to the host. What `apply --keep` declared moves on ' +
    'to the new version.',
  arguments: [{ name: 'name', description: 'the target path of another accepted version' }],
  options: [DEVICE, POLICY, FLEET_KEYS, ...HOLDING, STATE, SYSFS, ...TIMEOUTS],
  examples: [
    'ironport-agent upgrade acme/edu/1.1.0/edu-driver.mjs --device 0000:00:05.0 --policy fleet.json',
  ],
  schema: 'ironport-agent/upgrade/v1',
  async run(context) {
    const sysfs = await openSysfs(context);
    const request = await requestOf(context, sysfs);
    const agent = openAgent(context, { timeouts: true });
    const { from, failed, ...bound } = await upgrade(agent, sysfs, request);
    if (failed !== undefined) context.ui.warn(failed.message);
    // Also the version before is held, when it is that one which is bound again.
    const shown = await holdAndShow(context, agent, sysfs, bound);
    if (failed !== undefined) throw failed;
    return {
      ...shown,
      data: { from, ...shown.data },
      text: `upgrade  from ${from}\n${shown.text}`,
    };
  },
};
