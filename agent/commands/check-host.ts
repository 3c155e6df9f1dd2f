/** `ironport-agent check-host`: whether devices can be bound and drivers confined here, and what to do. */

import { getuid } from 'node:process';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { CODES } from '../../shared/errors.ts';
import { checkHost } from '../check/checks.ts';
import type { FindingState, HostFinding } from '../check/finding.ts';
import { readHostView } from '../check/view.ts';
import { PROBE_USER } from '../try-sandbox.ts';
import { openSysfs, SYSFS } from './options.ts';

export const checkHostCommand: CommandSpec = {
  name: 'check-host',
  summary: 'look over what this host has to bind devices and confine drivers, and what it lacks',
  description:
    'Looks at IOMMU and groups, interrupts, devices that translate addresses, VFIO, memory that may ' +
    'be locked, lockdown and control groups; root tries the confinement out too, on a small program ' +
    'that is ended at once. Changes nothing. Exit status 20 when something fails, so that ' +
    'monitoring can ask; with --strict also when something cannot be told.',
  options: [
    SYSFS,
    {
      flags: '--proc-root <dir>',
      description: 'where proc is, or a tree like it',
      default: '/proc',
    },
    { flags: '--dev-root <dir>', description: 'where devices have their nodes', default: '/dev' },
    {
      flags: '--cgroup <dir>',
      description: 'a folder of cgroup v2 that is delegated to the agent, to try it out too',
    },
    { flags: '--strict', description: 'what cannot be told counts as failed' },
  ],
  examples: ['ironport-agent check-host', 'ironport-agent check-host --strict --json'],
  schema: 'ironport-agent/check-host/v1',
  async run(context) {
    const sysfs = await openSysfs(context);
    const canTry = getuid?.() === 0 && (await sysfs.isKernels());
    const view = await readHostView(sysfs, {
      proc: context.text('proc-root') ?? '/proc',
      dev: context.text('dev-root') ?? '/dev',
      sandbox: canTry ? { user: PROBE_USER, cgroup: context.text('cgroup') } : undefined,
    });
    const findings = checkHost(view);
    const failing: FindingState[] = context.flag('strict') ? ['fails', 'unknown'] : ['fails'];
    const isReady = !findings.some(({ state }) => failing.includes(state));
    return {
      exit: isReady ? 0 : CODES.E_AGENT_REFUSED.exit,
      data: {
        ready: isReady,
        findings: findings.map(({ check, state, what, remedy }) => ({
          ...{ check, state, what, remedy: remedy ?? null },
        })),
      },
      text: [
        table(findings.map(({ state, check, what }) => [state, check, what])),
        ...findings.flatMap(({ check, remedy }) =>
          remedy === undefined ? [] : [`${check}: ${remedy}`],
        ),
        summary(findings, isReady),
      ].join('\n'),
    };
  },
};

function summary(findings: readonly HostFinding[], isReady: boolean): string {
  const count = (state: FindingState): number =>
    findings.filter((finding) => finding.state === state).length;
  const failing = count('fails');
  const parts = [
    failing === 0 ? 'nothing fails' : failing === 1 ? '1 check fails' : `${failing} checks fail`,
    ...(count('unknown') === 0 ? [] : [`${count('unknown')} cannot be told`]),
  ];
  return `${isReady ? 'ready' : 'not ready'}: ${parts.join(', ')}`;
}
