/** What the agent's commands have in common: where its folder is, and which sysfs is meant. */

import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { getuid } from 'node:process';
import type { CommandContext, OptionSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { hostFiles } from '../../shared/layout.ts';
import { Agent } from '../agent.ts';
import { BACKENDS, type BackendName } from '../host/backend.ts';
import { parseBdf } from '../host/bdf.ts';
import { Sysfs } from '../host/sysfs.ts';

export const STATE: OptionSpec = {
  flags: '--state <dir>',
  description: "the agent's own folder (/var/lib/ironport-agent for root)",
  env: 'IRONPORT_AGENT_STATE',
};
export const SYSFS: OptionSpec = {
  flags: '--sysfs-root <dir>',
  description: 'where sysfs is, or a tree like it',
  default: '/sys',
};
export const POLICY: OptionSpec = {
  flags: '--policy <file>',
  description: 'the fleet policy, in the place of the one that `policy accept` took',
  env: 'IRONPORT_FLEET_POLICY',
};
export const FLEET_KEYS: OptionSpec = {
  flags: '--fleet-keys <file>',
  description: `keys of the operators (${hostFiles.fleetKeys})`,
  env: 'IRONPORT_FLEET_KEYS',
};
export const DEVICE: OptionSpec = {
  flags: '--device <address>',
  description: 'the PCI function, as sysfs writes it: 0000:00:05.0',
  required: true,
};
export const BACKEND: OptionSpec = {
  flags: '--backend <name>',
  description: 'iommufd or container; what the host has when left out',
};
export const TIMEOUTS: readonly OptionSpec[] = [
  {
    flags: '--write-timeout <seconds>',
    description: 'how long one write into sysfs may take before it is called stuck (10)',
    env: 'IRONPORT_AGENT_WRITE_TIMEOUT',
  },
  {
    flags: '--settle-timeout <seconds>',
    description: 'how long the kernel may take to show the effect of a write (2)',
    env: 'IRONPORT_AGENT_SETTLE_TIMEOUT',
  },
];

/** The agent that the options mean. Only commands with `TIMEOUTS` may ask for them. */
export function openAgent(context: CommandContext, has: { timeouts?: boolean } = {}): Agent {
  const seconds = (name: string): number | undefined =>
    has.timeouts === true ? context.number(name, 1) : undefined;
  const writeSeconds = seconds('write-timeout');
  const settleSeconds = seconds('settle-timeout');
  return new Agent({
    state: resolve(context.text('state') ?? defaultState(context)),
    auditHeads: context.env.IRONPORT_AGENT_AUDIT_HEADS,
    fleetKeys: context.has('fleet-keys') ? context.text('fleet-keys') : undefined,
    ...(writeSeconds === undefined ? {} : { writeSeconds }),
    ...(settleSeconds === undefined ? {} : { settleSeconds }),
  });
}

function defaultState({ env }: CommandContext): string {
  // file-hierarchy(7); XDG Base Directory Specification for those who only try it out.
  if (getuid?.() === 0) return '/var/lib/ironport-agent';
  const base = env.XDG_STATE_HOME;
  // "All paths must be absolute": a relative one is to be ignored.
  const folder = base?.startsWith('/') === true ? base : join(homedir(), '.local', 'state');
  return join(folder, 'ironport-agent');
}

export function openSysfs(context: CommandContext): Promise<Sysfs> {
  return Sysfs.open(context.text('sysfs-root') ?? '/sys');
}

/** The backend that `--backend` forces. */
export function backendOf(context: CommandContext): BackendName | undefined {
  const name = context.text('backend');
  const known = BACKENDS.find((one) => one === name);
  if (name !== undefined && known === undefined)
    throw new IronError('E_USAGE', `no backend is called that: ${JSON.stringify(name)}`, {
      hint: `one of ${BACKENDS.join(', ')}`,
    });
  return known;
}

export function deviceOf(context: CommandContext): string {
  return parseBdf(context.need('device'));
}

/** A positional argument that the spec demands. */
export function argument(context: CommandContext, index: number, name: string): string {
  const value = context.args[index];
  if (value === undefined) throw new IronError('E_USAGE', `${name} is missing`);
  return value;
}
