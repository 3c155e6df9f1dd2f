/** `ironport-agent`: verifies hand-overs from its own root, and binds devices inside their grants. */

import type { ProgramSpec } from '../shared/cli/command.ts';
import { runProgram } from '../shared/cli/run.ts';
import { acceptCommand } from './commands/accept.ts';
import { applyCommand, bindCommand } from './commands/apply.ts';
import { auditExportCommand, auditTailCommand, auditVerifyCommand } from './commands/audit.ts';
import { checkHostCommand } from './commands/check-host.ts';
import { checkSandboxCommand } from './commands/check-sandbox.ts';
import { listCommand } from './commands/list.ts';
import { manifestCommands } from './commands/manifest.ts';
import { noticeCommand } from './commands/notice.ts';
import { planCommand } from './commands/plan.ts';
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
import { statusCommand } from './commands/status.ts';
import { whyCommand } from './commands/why.ts';

export const program: ProgramSpec = {
  name: 'ironport-agent',
  summary:
    'the guard of a host: verifies what is handed over, and binds devices inside their grants',
  commands: [
    acceptCommand,
    noticeCommand,
    listCommand,
    planCommand,
    applyCommand,
    bindCommand,
    releaseCommand,
    statusCommand,
    whyCommand,
    recoverCommand,
    checkHostCommand,
    checkSandboxCommand,
    auditVerifyCommand,
    auditTailCommand,
    auditExportCommand,
    receiptShowCommand,
    receiptVerifyCommand,
    quarantineListCommand,
    quarantineShowCommand,
    quarantineEnterCommand,
    quarantineSignCommand,
    quarantineReleaseCommand,
    quarantineEnforceCommand,
    ...manifestCommands,
  ],
};

export function main(argv: readonly string[]): Promise<number> {
  return runProgram(program, argv);
}
