/** `ironport-agent plan NAME --device ADDRESS`. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { assessIn, tryGrant } from '../assess.ts';
import { planConfinement } from '../confine-plan.ts';
import { requireNoWriter } from '../device-hands.ts';
import { loadAccepted } from '../entry.ts';
import { foreseeRecovery, requireFree } from '../free.ts';
import { requirePassed } from '../gates/gates.ts';
import { snapshotJson } from '../host/inventory.ts';
import { boundState, makePlan } from '../plan.ts';
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
import {
  confinementJson,
  confinementText,
  deviceText,
  limitsJson,
  limitsText,
  planJson,
  planText,
  undoneJson,
  undoneText,
} from './show.ts';

export const planCommand: CommandSpec = {
  name: 'plan',
  summary: 'show what `apply` would do and grant, step by step with its inverse',
  description: 'Changes nothing. Refused exactly when `apply` would be refused.',
  arguments: [{ name: 'name', description: 'the target path of an accepted driver' }],
  options: [DEVICE, POLICY, FLEET_KEYS, STATE, SYSFS],
  examples: [
    'ironport-agent plan acme/edu/1.0.0/edu-driver.mjs --device 0000:00:05.0 --policy fleet.json',
  ],
  schema: 'ironport-agent/plan/v1',
  async run(context) {
    const agent = openAgent(context);
    const bdf = deviceOf(context);
    const survey = new Survey(agent, await openSysfs(context));
    const { sysfs } = survey;
    // In the order of `apply`.
    const undone = await foreseeRecovery(agent, sysfs, bdf);
    const driver = await loadAccepted(agent, argument(context, 0, 'the name of the driver'));
    await requireFree(agent, sysfs, driver, bdf);
    await requireUsable(agent, driver);
    await requireNoWriter(agent, sysfs, bdf);
    const assessment = await assessIn(survey, bdf, driver);
    const { device, decisions } = assessment;
    requirePassed(bdf, decisions);
    const tried = await tryGrant(agent, driver, assessment, context.text('policy'));
    if ('error' in tried) throw tried.error;
    const from = undone.find((one) => one.device === bdf)?.to ?? device.binding;
    const plan = makePlan(bdf, from, boundState(from));
    const steps = (await sysfs.isKernels())
      ? planConfinement(tried.grant, plan.steps.length + 1)
      : [];
    return {
      data: {
        driver: driver.artifact.path,
        device: snapshotJson(device),
        undone_first: undone.map(undoneJson),
        plan: planJson(plan),
        confinement: confinementJson(steps),
        grant: limitsJson(tried.grant),
      },
      text: [
        deviceText(device),
        ...undone.map(undoneText),
        planText(plan),
        confinementText(steps),
        limitsText(tried.grant),
      ].join('\n'),
    };
  },
};
