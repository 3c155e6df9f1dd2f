/** `ironport-agent why NAME --device ADDRESS`: every gate's answer, and what would make it viable. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { assess, tryGrant } from '../assess.ts';
import { loadAccepted } from '../entry.ts';
import { snapshotJson } from '../host/inventory.ts';
import {
  argument,
  DEVICE,
  deviceOf,
  FLEET_KEYS,
  openAgent,
  openSysfs,
  POLICY,
  STATE,
  SYSFS,
} from './options.ts';
import { deviceText, gatesJson, gatesText, limitsJson } from './show.ts';

export const whyCommand: CommandSpec = {
  name: 'why',
  summary: 'say why a device can or cannot be bound, fact by fact, and what would change it',
  arguments: [{ name: 'name', description: 'the target path of an accepted driver' }],
  options: [DEVICE, POLICY, FLEET_KEYS, STATE, SYSFS],
  examples: [
    'ironport-agent why acme/edu/1.0.0/edu-driver.mjs --device 0000:00:05.0 --policy fleet.json',
  ],
  schema: 'ironport-agent/why/v1',
  async run(context) {
    const agent = openAgent(context);
    const driver = await loadAccepted(agent, argument(context, 0, 'the name of the driver'));
    const assessment = await assess(agent, await openSysfs(context), deviceOf(context), driver);
    const { device, decisions } = assessment;
    const tried = await tryGrant(agent, driver, assessment, context.text('policy'));
    const passed = decisions.every(({ objection }) => objection === undefined);
    const granted = 'grant' in tried;
    const grantLine = granted
      ? [
          `pass     grant${tried.grant.narrowings.length === 0 ? '' : ', with less than the ceiling'}`,
        ]
      : [`REFUSE   grant: ${tried.error.code}: ${tried.error.message}`];
    return {
      data: {
        driver: driver.artifact.path,
        device: snapshotJson(device),
        bindable: passed && granted,
        gates: gatesJson(decisions),
        grant: granted ? limitsJson(tried.grant) : null,
        grant_error: granted ? null : { code: tried.error.code, message: tried.error.message },
      },
      text: [
        deviceText(device),
        gatesText(decisions),
        ...grantLine,
        ...(granted ? tried.grant.narrowings.map((text) => `less     ${text}`) : []),
        passed && granted ? 'it can be bound' : 'it cannot be bound',
      ].join('\n'),
    };
  },
};
