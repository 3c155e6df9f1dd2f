/** `ironport-agent vfs plan|create|remove`: the virtual functions of a device. */

import type { CommandContext, CommandSpec, OptionSpec } from '../../shared/cli/command.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { loadAccepted } from '../entry.ts';
import { requirePassed } from '../gates/gates.ts';
import { snapshotJson } from '../host/inventory.ts';
import { requireUsable } from '../usable.ts';
import { assessVfs, planVfs } from '../vfs/assess.ts';
import { createVfs } from '../vfs/create.ts';
import { removeVfs } from '../vfs/remove.ts';
import { budgetJson, type VfSet } from '../vfs/set.ts';
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
  TIMEOUTS,
} from './options.ts';
import { deviceText, planJson, planText, showBudget } from './show.ts';

const COUNT: OptionSpec = {
  flags: '--count <number>',
  description: 'how many virtual functions',
  required: true,
};
const NAME = {
  name: 'name',
  description: 'the target path of an accepted driver whose ceiling has virtual_functions',
};

export const vfsPlanCommand: CommandSpec = {
  name: 'vfs plan',
  summary: 'show what `vfs create` would do, and what each virtual function may have',
  description: 'Changes nothing. Refused exactly when `vfs create` would be refused.',
  arguments: [NAME],
  options: [DEVICE, COUNT, POLICY, FLEET_KEYS, STATE, SYSFS],
  examples: [
    'ironport-agent vfs plan acme/nic/1.0.0/nic-driver --device 0000:03:00.0 --count 2 --policy fleet.json',
  ],
  schema: 'ironport-agent/vfs-plan/v1',
  async run(context) {
    const agent = openAgent(context);
    const sysfs = await openSysfs(context);
    const bdf = deviceOf(context);
    const count = countOf(context);
    const driver = await loadAccepted(agent, argument(context, 0, 'the name of the driver'));
    await requireUsable(agent, driver);
    const { device, decisions } = await assessVfs(agent, sysfs, bdf, driver);
    requirePassed(bdf, decisions, 'gets no virtual functions');
    const { plan, budget } = await planVfs(agent, driver, device, count, context.text('policy'));
    return {
      data: {
        driver: driver.artifact.path,
        device: snapshotJson(device),
        count,
        budget: budgetJson(budget),
        plan: planJson(plan),
      },
      text: [deviceText(device), planText(plan), `each     ${showBudget(budget)}`].join('\n'),
    };
  },
};

export const vfsCreateCommand: CommandSpec = {
  name: 'vfs create',
  summary:
    'make virtual functions of a device, each in a group of its own and with a share of its own',
  description:
    'The device keeps its driver, and drivers of the host are kept off what is made. Of what the fleet ' +
    'policy gives to all of them each has an equal share, within the ceiling of the driver that is ' +
    'named. `apply` then binds each as any other device. When a step fails, what had been done is ' +
    'undone in reverse.',
  arguments: [NAME],
  options: [DEVICE, COUNT, POLICY, FLEET_KEYS, STATE, SYSFS, ...TIMEOUTS],
  examples: [
    'ironport-agent vfs create acme/nic/1.0.0/nic-driver --device 0000:03:00.0 --count 2 --policy fleet.json',
  ],
  schema: 'ironport-agent/vfs-create/v1',
  async run(context) {
    const agent = openAgent(context, { timeouts: true });
    const { set, plan } = await createVfs(agent, await openSysfs(context), {
      name: argument(context, 0, 'the name of the driver'),
      bdf: deviceOf(context),
      count: countOf(context),
      policy: context.text('policy'),
      signal: context.signal,
      onStep: (text) => context.ui.stage(text),
    });
    return {
      data: { ...vfSetJson(set), plan: planJson(plan) },
      text: [
        planText(plan),
        `each     ${showBudget(set.budget)}`,
        ...set.vfs.map((vf) => `made     ${vf}`),
      ].join('\n'),
    };
  },
};

export const vfsRemoveCommand: CommandSpec = {
  name: 'vfs remove',
  summary: 'remove them: as many virtual functions, and autoprobe, as before they were made',
  options: [DEVICE, STATE, SYSFS, ...TIMEOUTS],
  examples: ['ironport-agent vfs remove --device 0000:03:00.0'],
  schema: 'ironport-agent/vfs-remove/v1',
  async run(context) {
    const agent = openAgent(context, { timeouts: true });
    const { set, plan } = await removeVfs(agent, await openSysfs(context), {
      bdf: deviceOf(context),
      signal: context.signal,
      onStep: (text) => context.ui.stage(text),
    });
    return {
      data: { ...vfSetJson(set), plan: planJson(plan) },
      text: `${planText(plan)}\nremoved  ${set.vfs.length} virtual functions of ${set.device}`,
    };
  },
};

function countOf(context: CommandContext): number {
  context.need('count');
  return context.number('count', 1) as number;
}

export function vfSetJson({ device, driver, vfs, budget }: VfSet): JsonObject {
  return { device, driver: driver.path, vfs: [...vfs], budget: budgetJson(budget) };
}
