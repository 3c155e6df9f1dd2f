/** A binding that a command made: held in the foreground where that was asked for, and shown. */

import type { CommandContext, CommandResult, OptionSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { grantPredicate } from '../../shared/manifest/grant-document.ts';
import type { Agent } from '../agent.ts';
import type { BindRequest, Bound, RunRequest } from '../bind.ts';
import type { Confined } from '../confine.ts';
import { planConfinement } from '../confine-plan.ts';
import { type HoldEnd, type Holding, hold } from '../hold.ts';
import { residentBytes } from '../host/resident.ts';
import type { Sysfs } from '../host/sysfs.ts';
import { argument, BACKEND, backendOf, deviceOf } from './options.ts';
import { confinementJson, grantText, planJson, planText } from './show.ts';
import { drivenJson, drivenText, whyText } from './show-driven.ts';

export const CGROUP: OptionSpec = {
  flags: '--cgroup <dir>',
  description: 'a folder of cgroup v2 that is delegated to the agent; for --run',
  env: 'IRONPORT_AGENT_CGROUP',
};

/** How a device is held, for every command that binds one. */
export const HOLDING: readonly OptionSpec[] = [
  { flags: '--hold', description: 'confine the device, and hold it until stopped' },
  { flags: '--run', description: 'run the driver too, as the fleet policy says; needs --hold' },
  CGROUP,
  BACKEND,
];

/** What the options ask for. `E_USAGE`. */
export async function requestOf(context: CommandContext, sysfs: Sysfs): Promise<BindRequest> {
  const backend = backendOf(context);
  const holds = context.flag('hold');
  if (holds) await requireHoldable(sysfs);
  const run = runOf(context, holds);
  return {
    name: argument(context, 0, 'the name of the driver'),
    bdf: deviceOf(context),
    policy: context.text('policy'),
    ...(holds ? { confine: { ...(backend && { backend }), ...(run && { run }) } } : {}),
    signal: context.signal,
    onStep: (text) => context.ui.stage(text),
  };
}

/** `E_USAGE` where the tree is not the kernel's. */
export async function requireHoldable(sysfs: Sysfs): Promise<void> {
  if (await sysfs.isKernels()) return;
  throw new IronError('E_USAGE', 'not confined: no VFIO in this tree', {
    hint: 'nothing was changed; --hold is for the sysfs of the running kernel',
  });
}

/** Holds what is confined, until its end. */
export async function holdBound(
  context: Pick<CommandContext, 'ui' | 'signal'>,
  agent: Agent,
  sysfs: Sysfs,
  { binding, grant, confined, baseline }: Bound,
): Promise<HoldEnd | undefined> {
  if (confined === undefined) return undefined;
  const named = { device: grant.device, sysfs };
  const resting = { path: binding.driver.path, grantExpires: grant.expires };
  const watched = baseline && { resting, baseline };
  return await holdIt(context, agent, confined, { named, ...(watched && { watched }) });
}

/** Holds it, and says all of it. */
export async function holdAndShow(
  context: CommandContext,
  agent: Agent,
  sysfs: Sysfs,
  bound: Bound,
  onBound: (data: object) => void = () => {},
): Promise<CommandResult & { data: object; text: string }> {
  const { binding, grant, plan, confined } = bound;
  const steps =
    confined === undefined
      ? []
      : planConfinement(
          grant,
          plan.steps.length + 1,
          confined.running === undefined ? 'held' : 'driven',
        );
  const data = {
    device: binding.device,
    driver: binding.driver.path,
    bound_to: binding.bound.driver,
    grant_sha256: binding.grantSha256,
    grant: grantPredicate(grant),
    plan: planJson(plan),
    confinement: confinementJson(steps, confined),
  };
  onBound(data);
  const held = await holdBound(context, agent, sysfs, bound);
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
  { ui, signal }: Pick<CommandContext, 'ui' | 'signal'>,
  agent: Agent,
  confined: Confined,
  about: Pick<Holding, 'named' | 'watched'>,
): Promise<HoldEnd> {
  for (const note of confined.notes) ui.stage(note);
  const { device, backend, running } = confined;
  if (running !== undefined)
    ui.stage(`the driver runs: process ${running.driver.pid}, user ${running.user}`);
  ui.stage(`holding ${device} through ${backend}`);
  ui.stage(`memory: ${await memoryText(agent.proc, running)}`);
  const onFrozen = (why: string): void =>
    ui.warn(
      `${device} is softly in quarantine (${why}): it reaches nothing, and what drove it stands still, until it is released, stopped or put there further`,
    );
  const onLost = (text: string): void => ui.warn(text);
  const end = await hold({ agent, confined, ...about, signal, onLost, onFrozen });
  ui.stage(`${WHY[end.why]}${whyText(end)}`);
  ui.stage(`let go: ${end.undone.join('; ')}`);
  return end;
}

/** Of each process that there is for the device. */
async function memoryText(proc: string, running: Confined['running']): Promise<string> {
  const others = (running?.parts ?? []).map(({ of, pid }) => [of, pid] as const);
  const each = [['holder', process.pid] as const, ...others].map(async ([of, pid]) => {
    const bytes = await residentBytes(proc, pid);
    return `${of} ${bytes === null ? 'not told' : `${Math.round(bytes / 2 ** 20)} MiB`}`;
  });
  return (await Promise.all(each)).join(', ');
}

const WHY: Readonly<Record<HoldEnd['why'], string>> = {
  asked: 'the kernel asks for the device',
  stopped: 'stopped',
  'device-error': 'the device reported an error, and is in quarantine',
  quarantined: 'the device was put into quarantine',
  watched: 'something was seen that takes the device out of service, and it is in quarantine',
  slept: 'the machine was suspended; what the device was told is told it by nobody again',
  'driver-ended': 'the driver ended',
  'broker-ended': 'the broker ended, and the driver was ended',
  'interrupt-storm':
    'interrupts went over their budget; the driver was stopped, and the device is in quarantine',
};

/** No code of ours has it: nothing of what was asked for failed. */
export const DRIVER_FAILED = 40;

/** Device or driver came to a bad end, and nobody had asked for one. */
export function hasFailed({ why, driver }: HoldEnd): boolean {
  if (why === 'asked' || why === 'stopped') return false;
  return why !== 'driver-ended' || driver?.status !== 0;
}
