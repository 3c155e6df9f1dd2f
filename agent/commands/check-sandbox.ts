/** `ironport-agent check-sandbox`: whether this host can confine a driver, tried out. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { PROBE_USER, trySandbox } from '../try-sandbox.ts';

export const checkSandboxCommand: CommandSpec = {
  name: 'check-sandbox',
  summary: 'try out whether this host can confine a driver',
  description:
    'Starts a small program, as drivers will be started: from sealed memory, as a user of its own, ' +
    'with no capabilities, no files and a filter of system calls; asks the kernel what holds for ' +
    'it, and ends it. Needs root. With --cgroup it also gets a control group below that folder.',
  options: [
    {
      flags: '--cgroup <dir>',
      description: 'a folder of cgroup v2 that is delegated to the agent',
    },
    { flags: '--user <number>', description: `user and group to become (${PROBE_USER})` },
  ],
  examples: ['ironport-agent check-sandbox --cgroup /sys/fs/cgroup/ironport'],
  schema: 'ironport-agent/check-sandbox/v1',
  async run(context) {
    const found = await trySandbox({
      user: context.number('user', 1) ?? PROBE_USER,
      cgroup: context.text('cgroup'),
    });
    const { user, landlockAbi, status, missing } = found;
    return {
      data: {
        user,
        landlock_abi: landlockAbi,
        status: Array.from(status, ([name, value]) => ({ name, value })),
        missing_controllers: missing ?? null,
      },
      text: [
        `confined: a program ran as user ${user}, and was ended`,
        `  landlock version ${landlockAbi}`,
        ...[...status].map(([name, value]) => `  ${name} ${value}`),
        missing === undefined
          ? 'control group: not tried; --cgroup tries it'
          : `control group: ${missing.length === 0 ? 'bounds memory and processes' : `ends a driver, and does not bound it: no ${missing.join(', no ')}`}`,
      ].join('\n'),
    };
  },
};
