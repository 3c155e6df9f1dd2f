/** `ironport-repo`: the service, and the commands of those who run it. */

import type { ProgramSpec } from '../shared/cli/command.ts';
import { runProgram } from '../shared/cli/run.ts';
import { operatorCommands } from './ceremony/commands.ts';
import { backup } from './commands/backup.ts';
import { check } from './commands/check.ts';
import { drill } from './commands/drill.ts';
import { fsck } from './commands/fsck.ts';
import { holdAdd, holdList, holdRemove } from './commands/hold.ts';
import { importRepository } from './commands/import.ts';
import { mend } from './commands/mend.ts';
import { pendingDrop, pendingList, pendingShow, pendingSign } from './commands/pending.ts';
import { scannerRescan } from './commands/rescan.ts';
import { restore } from './commands/restore.ts';
import { retentionCollect, retentionShow } from './commands/retention.ts';
import { reviewListCommand, reviewRequire, reviewShow } from './commands/review.ts';
import { reviewApprove, reviewReject, reviewSubmit } from './commands/review-decide.ts';
import { scannerOff, scannerSet, scannerShow, scannerTry } from './commands/scanner.ts';
import { serve } from './commands/serve.ts';
import { serveStatic } from './commands/serve-static.ts';
import { start } from './commands/start.ts';
import { status } from './commands/status.ts';
import { submit } from './commands/submit.ts';
import { verdictsList, verdictsShow } from './commands/verdicts.ts';

export const program: ProgramSpec = {
  name: 'ironport-repo',
  summary: 'run a repository of signed drivers',
  takesAddress: true,
  addressDefault: 'serve',
  commands: [
    ...[serve, serveStatic, start, submit, pendingList, pendingShow, pendingSign, pendingDrop],
    ...[reviewRequire, reviewListCommand, reviewShow],
    ...[reviewApprove, reviewReject, reviewSubmit],
    ...[verdictsList, verdictsShow],
    ...[scannerSet, scannerShow, scannerOff, scannerTry, scannerRescan],
    ...[retentionShow, retentionCollect, holdAdd, holdList, holdRemove],
    ...[status, fsck, mend, check, backup, restore, importRepository, drill],
    ...operatorCommands,
  ],
};

export function main(argv: string[]): Promise<number> {
  return runProgram(program, argv);
}
