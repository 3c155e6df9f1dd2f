/** `ironport-agent release --device ADDRESS`. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { release } from '../release.ts';
import { DEVICE, deviceOf, openAgent, openSysfs, STATE, SYSFS, TIMEOUTS } from './options.ts';
import { planJson, planText } from './show.ts';

export const releaseCommand: CommandSpec = {
  name: 'release',
  summary: 'give a device back: driver and override as they were before it was bound',
  description:
    'What `apply --keep` declared for it is withdrawn: it is not bound again when the machine starts.',
  options: [DEVICE, STATE, SYSFS, ...TIMEOUTS],
  examples: ['ironport-agent release --device 0000:00:05.0'],
  schema: 'ironport-agent/release/v1',
  async run(context) {
    const agent = openAgent(context, { timeouts: true });
    const { device, driver, plan } = await release(agent, await openSysfs(context), {
      bdf: deviceOf(context),
      signal: context.signal,
      onStep: (text) => context.ui.stage(text),
    });
    return {
      data: { device, driver, plan: planJson(plan) },
      text: `${planText(plan)}\nreleased ${device}`,
    };
  },
};
