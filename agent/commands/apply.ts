/** `ironport-agent apply NAME --device ADDRESS`, which is also called `bind`. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { grantPredicate } from '../../shared/manifest/grant-document.ts';
import { bind } from '../bind.ts';
import { planConfinement } from '../confine-plan.ts';
import { hold } from '../hold.ts';
import {
  argument,
  BACKEND,
  backendOf,
  DEVICE,
  deviceOf,
  openAgent,
  openSysfs,
  POLICY,
  STATE,
  SYSFS,
  TIMEOUTS,
} from './options.ts';
import { confinementJson, grantText, planJson, planText } from './show.ts';

function specOf(name: string, summary: string): CommandSpec {
  return {
    name,
    summary,
    description:
      'Every gate is asked again, a grant is computed and signed, and the plan is carried out with ' +
      'a journal. When a step fails, what had been done is undone in reverse. With --hold the device ' +
      'is also confined: it reaches the memory of its grant and nothing else, for as long as the ' +
      'command runs. It ends when it is stopped, or when the device is released.',
    arguments: [{ name: 'name', description: 'the target path of an accepted driver' }],
    options: [
      DEVICE,
      POLICY,
      { flags: '--hold', description: 'confine the device, and hold it until stopped' },
      BACKEND,
      STATE,
      SYSFS,
      ...TIMEOUTS,
    ],
    examples: [
      `ironport-agent ${name} acme/edu/1.0.0/edu-driver.mjs --device 0000:00:05.0 --policy fleet.json`,
    ],
    schema: `ironport-agent/${name}/v1`,
    async run(context) {
      const policy = context.text('policy');
      const sysfs = await openSysfs(context);
      const backend = backendOf(context);
      const holds = context.flag('hold');
      if (holds && !(await sysfs.isKernels())) {
        throw new IronError('E_USAGE', 'not confined: no VFIO in this tree', {
          hint: 'nothing was changed; --hold is for the sysfs of the running kernel',
        });
      }
      const { binding, grant, plan, confined } = await bind(
        openAgent(context, { timeouts: true }),
        sysfs,
        {
          name: argument(context, 0, 'the name of the driver'),
          bdf: deviceOf(context),
          policy,
          ...(holds ? { confine: backend === undefined ? {} : { backend } } : {}),
          signal: context.signal,
          onStep: (text) => context.ui.stage(text),
        },
      );
      const steps = confined === undefined ? [] : planConfinement(grant, plan.steps.length + 1);
      if (confined !== undefined) {
        for (const note of confined.notes) context.ui.stage(note);
        context.ui.stage(`holding ${binding.device} through ${confined.backend}`);
        const { why, undone } = await hold(confined, context.signal);
        context.ui.stage(why === 'asked' ? 'the kernel asks for the device' : 'stopped');
        context.ui.stage(`let go: ${undone.join('; ')}`);
      }
      return {
        data: {
          device: binding.device,
          driver: binding.driver.path,
          bound_to: binding.bound.driver,
          grant_sha256: binding.grantSha256,
          grant: grantPredicate(grant),
          plan: planJson(plan),
          confinement: confinementJson(steps, confined),
        },
        text: [
          planText(plan),
          grantText(grant),
          `bound    ${binding.device} to ${binding.bound.driver}, grant ${binding.grantSha256}`,
          confined === undefined
            ? `confine  not confined: ${(await sysfs.isKernels()) ? 'nothing holds the device; --hold does' : 'no VFIO in this tree'}`
            : `confine  was held through ${confined.backend} until now; bound still, and reaches nothing`,
        ].join('\n'),
      };
    },
  };
}

export const applyCommand = specOf(
  'apply',
  'bind a device to an accepted driver, or leave it as it was',
);
export const bindCommand = specOf('bind', 'the same as apply');
