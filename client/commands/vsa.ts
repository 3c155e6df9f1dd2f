/** `ironport-client vsa replay`: the same inputs, judged again. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { EVIDENCE_LIMITS, HANDOFF_LIMITS, METADATA_LIMITS } from '../../shared/limits.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { loadPublicKey } from '../../shared/node/signers/file.ts';
import { formatInstant } from '../../shared/time.ts';
import { inputsPath, replaySummary } from '../vsa.ts';
import { argument } from './options.ts';
import { policyData } from './show.ts';

export const vsaReplayCommand: CommandSpec = {
  name: 'vsa replay',
  summary: 'judge the recorded inputs of a verification summary again, and compare',
  description:
    'Checks that the host signed the summary and that it names these inputs, then runs the whole ' +
    'verification over them, offline, at the time of then. Fails unless the same verdict, rule ' +
    'by rule, comes out.',
  arguments: [{ name: 'file', description: 'the summary that `get-verified --vsa` wrote' }],
  options: [
    { flags: '-k, --key <file>', description: "the host's public key", required: true },
    { flags: '--inputs <file>', description: 'the inputs, when they are not FILE.inputs.json' },
    { flags: '--root <file>', description: 'the root that the inputs must begin at' },
  ],
  examples: ['ironport-client vsa replay edu.vsa.json --key host.pub.json --root root.json'],
  schema: 'ironport-client/vsa-replay/v1',
  async run(context) {
    const file = argument(context, 0, 'FILE');
    const root = context.text('root');
    const replayed = replaySummary(
      crypto,
      await readFileCapped(file, EVIDENCE_LIMITS.envelope),
      await readFileCapped(context.text('inputs') ?? inputsPath(file), 4 * HANDOFF_LIMITS.record),
      await loadPublicKey(context.need('key')),
      root === undefined ? undefined : await readFileCapped(root, METADATA_LIMITS.root),
    );
    const { path, sha256, result, rules } = replayed;
    const verified_at = formatInstant(replayed.time);
    return {
      data: { path, sha256, result, verified_at, ...policyData(rules) },
      text: [
        table(rules.rules.map(({ rule, holds, what }) => [holds ? 'ok' : 'REFUSED', rule, what])),
        `the same verdict: ${result}, ${path} at ${verified_at}`,
      ].join('\n'),
    };
  },
};
