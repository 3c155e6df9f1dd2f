/** `ironport-client`: fetches and verifies, and hands over to the guard of the host. */

import { setFlagsFromString } from 'node:v8';
import type { ProgramSpec } from '../shared/cli/command.ts';
import { runProgram } from '../shared/cli/run.ts';
import { bundleCreateCommand } from './commands/bundle-create.ts';
import { bundleImportCommand } from './commands/bundle-import.ts';
import { bundleVerifyCommand } from './commands/bundle-verify.ts';
import { doctorCommand } from './commands/doctor.ts';
import { envCommand } from './commands/env.ts';
import { findCommand } from './commands/find.ts';
import { getCommand } from './commands/get.ts';
import { getAllCommand } from './commands/get-all.ts';
import { getVerifiedCommand } from './commands/get-verified.ts';
import { handoffCommand } from './commands/handoff.ts';
import { indexCommand } from './commands/index-command.ts';
import { initCommand } from './commands/init.ts';
import { inspectCommand } from './commands/inspect.ts';
import { policyExplainCommand, policySignCommand, policyTestCommand } from './commands/policy.ts';
import { refreshCommand } from './commands/refresh.ts';
import { statusCommand } from './commands/status.ts';
import { verifyCommand } from './commands/verify.ts';
import { vsaReplayCommand } from './commands/vsa.ts';
import { watchCommand } from './commands/watch.ts';

export const program: ProgramSpec = {
  name: 'ironport-client',
  summary: 'fetch drivers, and verify them from a pinned root down to their bytes',
  takesAddress: true,
  addressDefault: 'index',
  config: {
    repository: { env: 'IRONPORT_REPOSITORY' },
    store: { env: 'IRONPORT_STORE', decidesTrust: true },
    mirrors: { env: 'IRONPORT_MIRRORS' },
    offline: { env: 'IRONPORT_OFFLINE' },
    'limit-rate': { env: 'IRONPORT_LIMIT_RATE' },
  },
  commands: [
    initCommand,
    refreshCommand,
    findCommand,
    indexCommand,
    getCommand,
    getVerifiedCommand,
    getAllCommand,
    handoffCommand,
    verifyCommand,
    statusCommand,
    bundleCreateCommand,
    bundleVerifyCommand,
    bundleImportCommand,
    watchCommand,
    inspectCommand,
    doctorCommand,
    envCommand,
    policyExplainCommand,
    policyTestCommand,
    policySignCommand,
    vsaReplayCommand,
  ],
};

export function main(argv: readonly string[]): Promise<number> {
  // A download makes and drops a buffer for every packet. With the young generation kept small
  // they are freed as fast as they come: 120 MiB instead of 150 for 1 GiB (measured).
  setFlagsFromString('--semi-space-growth-factor=1');
  return runProgram(program, argv);
}
