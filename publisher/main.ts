/** `ironport`: the vendor's tool. */

import type { ProgramSpec } from '../shared/cli/command.ts';
import { runProgram } from '../shared/cli/run.ts';
import { attest } from './commands/attest.ts';
import { init } from './commands/init.ts';
import { manifestDiff, manifestExplain, manifestLint } from './commands/manifest.ts';
import { nest, unnest } from './commands/nest.ts';
import { pendingList, pendingShow, pendingSign } from './commands/pending.ts';
import { promote } from './commands/promote.ts';
import { publish } from './commands/publish.ts';
import { publishBatch } from './commands/publish-batch.ts';
import { raiseFloor } from './commands/raise-floor.ts';
import { renew } from './commands/renew.ts';
import { request } from './commands/request.ts';
import { retireKey } from './commands/retire-key.ts';
import { rotateKeys } from './commands/rotate-keys.ts';
import { sbom } from './commands/sbom.ts';
import { sign } from './commands/sign.ts';
import { split } from './commands/split.ts';
import { submissionCommand } from './commands/submission.ts';
import { withdraw } from './commands/withdraw.ts';
import { pipelineCommands } from './pipeline/commands.ts';

export const program: ProgramSpec = {
  name: 'ironport',
  summary: 'attest, sign and publish device drivers, with keys that stay at home',
  commands: [
    ...pipelineCommands,
    ...[manifestLint, manifestExplain, manifestDiff],
    sbom,
    ...[
      init,
      request,
      attest,
      publish,
      publishBatch,
      promote,
      withdraw,
      raiseFloor,
      retireKey,
      sign,
      renew,
      rotateKeys,
    ],
    ...[split, nest, unnest, pendingList, pendingShow, pendingSign, submissionCommand],
  ],
};

/** Runs a command line; returns the exit status. */
export function main(argv: readonly string[]): Promise<number> {
  return runProgram(program, argv);
}
