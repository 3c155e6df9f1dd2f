/** `ironport-agent apply NAME --device ADDRESS`, which is also called `bind`. */

import type { CommandContext, CommandSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { grantPredicate } from '../../shared/manifest/grant-document.ts';
import type { Agent } from '../agent.ts';
import { bind, type RunRequest } from '../bind.ts';
import type { Confined } from '../confine.ts';
import { planConfinement } from '../confine-plan.ts';
import { type HoldEnd, type Holding, hold } from '../hold.ts';
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
import { drivenJson, drivenText } from './show-driven.ts';
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
      { flags: '--hold', description: 'confine the device, and hold it until stopped' },
      { flags: '--run', description: 'run the driver too, as the fleet policy says; needs --hold' },
      {
        flags: '--cgroup <dir>',
        description: 'a folder of cgroup v2 that is delegated to the agent; for --run',
        env: 'IRONPORT_AGENT_CGROUP',
      },
      SUPERVISED,
      BACKEND,
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
      const policy = context.text('policy');
      const sysfs = await openSysfs(context);
      const backend = backendOf(context);
      const holds = context.flag('hold');
      if (holds && !(await sysfs.isKernels())) {
        throw new IronError('E_USAGE', 'not confined: no VFIO in this tree', {
          hint: 'nothing was changed; --hold is for the sysfs of the running kernel',
        });
      }
      const run = runOf(context, holds);
      const supervisor = supervisorOf(context);
      const signal = supervisor?.orGone(context.signal) ?? context.signal;
      const agent = openAgent(context, { timeouts: true });
      const { binding, grant, plan, confined, baseline } = await bind(agent, sysfs, {
        name: argument(context, 0, 'the name of the driver'),
        bdf: deviceOf(context),
        policy,
        ...(holds ? { confine: { ...(backend && { backend }), ...(run && { run }) } } : {}),
        signal,
        onStep: (text) => context.ui.stage(text),
      });
      const steps =
        confined === undefined
          ? []
          : planConfinement(grant, plan.steps.length + 1, run === undefined ? 'held' : 'driven');
      const named = { device: grant.device, sysfs };
      const resting = { path: binding.driver.path, grantExpires: grant.expires };
      const watched = baseline && { resting, baseline };
      const data = {
        device: binding.device,
        driver: binding.driver.path,
        bound_to: binding.bound.driver,
        grant_sha256: binding.grantSha256,
        grant: grantPredicate(grant),
        plan: planJson(plan),
        confinement: confinementJson(steps, confined),
      };
      supervisor?.say({ ...data, driven: null });
      const held =
        confined &&
        (await holdIt({ ...context, signal }, agent, confined, {
          named,
          ...(watched && { watched }),
        }));
      return {
        data: { ...data, driven: drivenJson(confined?.running, held) },
        ...(held !== undefined && hasFailed(held) ? { exit: DRIVER_FAILED } : {}),
        text: [
          planText(plan),
          grantText(grant),
          `bound    ${binding.device} to ${binding.bound.driver}, grant ${binding.grantSha256}`,
          confined === undefined
            ? `confine  not confined: ${(await sysfs.isKernels()) ? 'nothing holds the device; --hold does' : 'no VFIO in this tree'}`
            : `confine  was held through ${confined.backend} until now; bound still, and reaches nothing`,
          ...drivenText(confined?.running, held),
        ].join('\n'),
      };
    },
  };
}

function runOf(context: CommandContext, holds: boolean): RunRequest | undefined {
  const cgroup = context.text('cgroup');
  if (!context.flag('run')) return undefined;
  if (holds && cgroup !== undefined) return { cgroup };
  throw new IronError('E_USAGE', `--run needs ${holds ? '--cgroup' : '--hold'}`, {
    hint: 'nothing was changed; a driver runs for as long as its device is held, in a control group',
  });
}

/** What comes between confining and holding must not leave the device running, either. */
async function holdIt(...held: Parameters<typeof tellAndHold>): Promise<HoldEnd> {
  const [, , confined] = held;
  try {
    return await tellAndHold(...held);
  } catch (error) {
    // Nothing, where holding gave it back.
    await confined.end();
    throw error;
  }
}

async function tellAndHold(
  { ui, signal }: CommandContext,
  agent: Agent,
  confined: Confined,
  about: Pick<Holding, 'named' | 'watched'>,
): Promise<HoldEnd> {
  for (const note of confined.notes) ui.stage(note);
  const { device, backend, running } = confined;
  if (running !== undefined)
    ui.stage(`the driver runs: process ${running.driver.pid}, user ${running.user}`);
  ui.stage(`holding ${device} through ${backend}`);
  const end = await hold({ agent, confined, ...about, signal, onLost: (text) => ui.warn(text) });
  ui.stage(WHY[end.why]);
  ui.stage(`let go: ${end.undone.join('; ')}`);
  return end;
}

const WHY: Readonly<Record<HoldEnd['why'], string>> = {
  asked: 'the kernel asks for the device',
  stopped: 'stopped',
  'device-error': 'the device reported an error, and is in quarantine',
  quarantined: 'the device was put into quarantine',
  watched: 'something was seen that takes the device out of service, and it is in quarantine',
  'driver-ended': 'the driver ended',
  'broker-ended': 'the broker ended, and the driver was ended',
  'interrupt-storm':
    'interrupts went over their budget; the driver was ended, and the device is in quarantine',
};

/** No code of ours has it: nothing of what was asked for failed. */
const DRIVER_FAILED = 40;

/** Device or driver came to a bad end, and nobody had asked for one. */
function hasFailed({ why, driver }: HoldEnd): boolean {
  if (why === 'asked' || why === 'stopped') return false;
  return why !== 'driver-ended' || driver?.status !== 0;
}

export const applyCommand = specOf(
  'apply',
  'bind a device to an accepted driver, or leave it as it was',
);
export const bindCommand = specOf('bind', 'the same as apply');
