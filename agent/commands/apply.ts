/** `ironport-agent apply NAME --device ADDRESS`, which is also called `bind`. */

import { resolve } from 'node:path';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { type BindRequest, bind } from '../bind.ts';
import type { Manner } from '../kept.ts';
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
import { SUPERVISED, supervisorOf } from './supervised.ts';

function specOf(name: string, summary: string): CommandSpec {
  return {
    name,
    summary,
    description:
      'Every gate is asked again, a grant is computed and signed, and the plan is carried out with ' +
      'a journal. When a step fails, what had been done is undone in reverse. With --hold the device ' +
      'is also confined: it reaches the memory of its grant and nothing else, for as long as the ' +
      'command runs. It ends when it is stopped, or when the device is released. With --run the ' +
      'driver is started as well, confined, with what the grant names and nothing else: its registers ' +
      'through a broker, its memory, its interrupts. When the driver ends, so does the command.',
    arguments: [{ name: 'name', description: 'the target path of an accepted driver' }],
    options: [
      DEVICE,
      POLICY,
      FLEET_KEYS,
      ...HOLDING,
      {
        flags: '--keep',
        description: 'declare it: `restore` binds it like this again when the machine starts',
      },
      SUPERVISED,
      STATE,
      SYSFS,
      ...TIMEOUTS,
    ],
    examples: [
      `ironport-agent ${name} acme/edu/1.0.0/edu-driver.mjs --device 0000:00:05.0 --policy fleet.json`,
      `ironport-agent ${name} acme/edu/1.0.0/edu-driver --device 0000:00:05.0 --policy fleet.json --hold --run --cgroup /sys/fs/cgroup/ironport`,
    ],
    schema: `ironport-agent/${name}/v1`,
    async run(context) {
      const sysfs = await openSysfs(context);
      const supervisor = supervisorOf(context);
      const signal = supervisor?.orGone(context.signal) ?? context.signal;
      const asked = { ...(await requestOf(context, sysfs)), signal };
      // For the helper: by the policy that operators signed, whatever environment or configuration say.
      const request = supervisor === undefined ? asked : { ...asked, policy: undefined };
      const agent = openAgent(context, { timeouts: true });
      const keep = context.flag('keep') ? mannerOf(request) : undefined;
      const bound = await bind(agent, sysfs, { ...request, ...(keep && { keep }) });
      if (keep !== undefined) context.ui.stage('declared: it is bound again by `restore`');
      const { device, grantSha256 } = bound.binding;
      supervisor?.holds({ device, grantSha256 });
      const say = (data: object): void => supervisor?.say({ ...data, driven: null });
      return await holdAndShow({ ...context, signal }, agent, sysfs, bound, say);
    },
  };
}

function mannerOf({ confine }: BindRequest): Manner {
  return {
    hold: confine !== undefined,
    backend: confine?.backend,
    cgroup: confine?.run === undefined ? undefined : resolve(confine.run.cgroup),
  };
}

export const applyCommand = specOf(
  'apply',
  'bind a device to an accepted driver, or leave it as it was',
);
export const bindCommand = specOf('bind', 'the same as apply');
