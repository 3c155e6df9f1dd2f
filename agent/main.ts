/** `ironport-agent`: verifies hand-overs from its own root, and binds devices inside their grants. */

import type { ProgramSpec } from '../shared/cli/command.ts';
import { runProgram } from '../shared/cli/run.ts';
import { acceptCommand } from './commands/accept.ts';
import { applyCommand, bindCommand } from './commands/apply.ts';
import { auditExportCommand, auditTailCommand, auditVerifyCommand } from './commands/audit.ts';
import { checkHostCommand } from './commands/check-host.ts';
import { checkSandboxCommand } from './commands/check-sandbox.ts';
import { frontCommand } from './commands/front.ts';
import { helperCommand } from './commands/helper.ts';
import { listCommand } from './commands/list.ts';
import { manifestCommands } from './commands/manifest.ts';
import { noticeCommand } from './commands/notice.ts';
import { planCommand } from './commands/plan.ts';
import { policyAcceptCommand, policySignCommand } from './commands/policy.ts';
import {
  quarantineEnforceCommand,
  quarantineEnterCommand,
  quarantineListCommand,
  quarantineReleaseCommand,
  quarantineShowCommand,
} from './commands/quarantine.ts';
import { quarantineSignCommand } from './commands/quarantine-sign.ts';
import { receiptShowCommand, receiptVerifyCommand } from './commands/receipt.ts';
import { recoverCommand } from './commands/recover.ts';
import { releaseCommand } from './commands/release.ts';
import { restoreCommand } from './commands/restore.ts';
import { statusCommand } from './commands/status.ts';
import { upgradeCommand } from './commands/upgrade.ts';
import { vfsCreateCommand, vfsPlanCommand, vfsRemoveCommand } from './commands/vfs.ts';
import { viaFront } from './commands/via.ts';
import { whyCommand } from './commands/why.ts';

export const program: ProgramSpec = {
  name: 'ironport-agent',
  summary:
    'the guard of a host: verifies what is handed over, and binds devices inside their grants',
  commands: [
    viaFront(acceptCommand),
    viaFront(noticeCommand),
    viaFront(listCommand),
    viaFront(planCommand),
    viaFront(applyCommand),
    bindCommand,
    upgradeCommand,
    restoreCommand,
    viaFront(releaseCommand),
    viaFront(statusCommand),
    viaFront(whyCommand),
    recoverCommand,
    vfsPlanCommand,
    vfsCreateCommand,
    vfsRemoveCommand,
    checkHostCommand,
    checkSandboxCommand,
    auditVerifyCommand,
    auditTailCommand,
    auditExportCommand,
    viaFront(receiptShowCommand),
    receiptVerifyCommand,
    policySignCommand,
    viaFront(policyAcceptCommand),
    viaFront(quarantineListCommand),
    viaFront(quarantineShowCommand),
    viaFront(quarantineEnterCommand),
    quarantineSignCommand,
    viaFront(quarantineReleaseCommand),
    quarantineEnforceCommand,
    helperCommand,
    frontCommand,
    ...manifestCommands,
  ],
};

export function main(argv: readonly string[]): Promise<number> {
  return runProgram(program, argv);
}
