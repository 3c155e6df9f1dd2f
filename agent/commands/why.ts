/** `ironport-agent why NAME --device ADDRESS`: every gate's answer, and what would make it viable. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { asIronError, type IronError } from '../../shared/errors.ts';
import { assessIn, tryGrant } from '../assess.ts';
import { requireNoWriter } from '../device-hands.ts';
import { type Accepted, loadAccepted } from '../entry.ts';
import { foreseeRecovery, requireFree } from '../free.ts';
import { snapshotJson } from '../host/inventory.ts';
import { Survey } from '../survey.ts';
import { requireUsable } from '../usable.ts';
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
    const survey = new Survey(agent, await openSysfs(context));
    const bdf = deviceOf(context);
    const taken = await requireNobodys(survey, driver, bdf).then(() => undefined, asIronError);
    const assessment = await assessIn(survey, bdf, driver);
    const { device, decisions } = assessment;
    const tried = await tryGrant(agent, driver, assessment, context.text('policy'));
    const unusable = await requireUsable(agent, driver).then(() => undefined, asIronError);
    const passed = decisions.every(({ objection }) => objection === undefined);
    const granted = 'grant' in tried;
    const bindable = passed && granted && unusable === undefined && taken === undefined;
    const grantLine = granted
      ? [
          `pass     grant${tried.grant.narrowings.length === 0 ? '' : ', with less than the ceiling'}`,
        ]
      : [`REFUSE   grant: ${tried.error.code}: ${tried.error.message}`];
    return {
      data: {
        driver: driver.artifact.path,
        device: snapshotJson(device),
        bindable,
        driver_error: reasonOf(unusable),
        device_error: reasonOf(taken),
        gates: gatesJson(decisions),
        grant: granted ? limitsJson(tried.grant) : null,
        grant_error: granted ? null : reasonOf(tried.error),
      },
      text: [
        deviceText(device),
        partText('driver', unusable),
        partText('device', taken),
        gatesText(decisions),
        ...grantLine,
        ...(granted ? tried.grant.narrowings.map((text) => `less     ${text}`) : []),
        bindable ? 'it can be bound' : 'it cannot be bound',
      ].join('\n'),
    };
  },
};

/** As `apply` asks it before the gates: nobody has the device, and nothing waits there. */
async function requireNobodys(
  { agent, sysfs }: Survey,
  driver: Accepted,
  bdf: string,
): Promise<void> {
  await foreseeRecovery(agent, sysfs, bdf);
  await requireFree(agent, sysfs, driver, bdf);
  await requireNoWriter(agent, sysfs, bdf);
}

function partText(part: string, error: IronError | undefined): string {
  return error === undefined
    ? `pass     ${part}`
    : `REFUSE   ${part}: ${error.code}: ${wordsOf(error)}`;
}

/** What refuses it, and what would make it viable. */
function wordsOf({ message, why, hint }: IronError): string {
  return [message, why, hint].filter((text) => text !== undefined).join('; ');
}

function reasonOf(error: IronError | undefined): { code: string; message: string } | null {
  return error === undefined ? null : { code: error.code, message: error.message };
}
