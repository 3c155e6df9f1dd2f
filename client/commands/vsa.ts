/** `ironport-client vsa replay`: the same inputs, judged again. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { EVIDENCE_LIMITS, METADATA_LIMITS, SUMMARY_LIMITS } from '../../shared/limits.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { loadPublicKey } from '../../shared/node/signers/file.ts';
import { formatInstant } from '../../shared/time.ts';
import type { RootOf } from '../vsa/map-inputs.ts';
import { replaySummary } from '../vsa/replay.ts';
import { inputsPath } from '../vsa/write.ts';
import { argument } from './options.ts';
import { policyData } from './show.ts';

export const vsaReplayCommand: CommandSpec = {
  name: 'vsa replay',
  summary: 'judge the recorded inputs of a verification summary again, and compare',
  description:
    'Checks that the host signed the summary and that it names these inputs, then runs the whole ' +
    'verification over them, offline, at the time of then. Fails unless the same verdict, rule ' +
    'by rule, comes out; words for it may be others, and are told. Of a summary over a map file, each repository that agreed is verified ' +
    'again, and the map is asked once more.',
  arguments: [{ name: 'file', description: 'the summary that `get-verified --vsa` wrote' }],
  options: [
    { flags: '-k, --key <file>', description: "the host's public key", required: true },
    { flags: '--inputs <file>', description: 'the inputs, when they are not FILE.inputs.json' },
    { flags: '--root <file>', description: 'the root that the inputs must begin at' },
    {
      flags: '--roots <dir>',
      description: 'over a map file: each of its repositories must begin at DIR/NAME.json',
    },
  ],
  examples: [
    'ironport-client vsa replay edu.vsa.json --key host.pub.json --root root.json',
    'ironport-client vsa replay agreed.vsa.json --key host.pub.json --roots roots',
  ],
  schema: 'ironport-client/vsa-replay/v1',
  async run(context) {
    const file = argument(context, 0, 'FILE');
    const root = context.text('root');
    const replayed = replaySummary(
      crypto,
      await readFileCapped(file, EVIDENCE_LIMITS.envelope),
      await readFileCapped(context.text('inputs') ?? inputsPath(file), SUMMARY_LIMITS.inputs),
      await loadPublicKey(context.need('key')),
      {
        only: root === undefined ? undefined : await readFileCapped(root, METADATA_LIMITS.root),
        of: await rootsIn(context.text('roots')),
      },
    );
    const { path, sha256, result, rules, agreement, reworded } = replayed;
    if (reworded.length > 0)
      context.ui.warn(
        `the summary words ${reworded.join(', ')} otherwise; the verdict is the same. Another version of this program made it, or the host put words into it that are not so`,
      );
    const verified_at = formatInstant(replayed.time);
    return {
      data: {
        ...{ path, sha256, result, verified_at },
        ...policyData(rules),
        agreement: agreement ?? null,
      },
      text: [
        table(rules.rules.map(({ rule, holds, what }) => [holds ? 'ok' : 'REFUSED', rule, what])),
        ...(agreement === undefined
          ? []
          : [`of ${agreement.agreed.join(', ')}; the map asks for ${agreement.threshold}`]),
        `the same verdict: ${result}, ${path} at ${verified_at}`,
      ].join('\n'),
    };
  },
};

/** Roots by name from a folder, all of them read; a repository that has none there is refused. */
async function rootsIn(folder: string | undefined): Promise<RootOf | undefined> {
  if (folder === undefined) return undefined;
  const roots = new Map<string, Uint8Array>();
  for (const name of await onPath(folder, () => readdir(folder), 'E_NOT_FOUND')) {
    if (!name.endsWith('.json')) continue;
    const bytes = await readFileCapped(join(folder, name), METADATA_LIMITS.root);
    roots.set(name.slice(0, -'.json'.length), bytes);
  }
  return (name) => {
    const root = roots.get(name);
    if (root !== undefined) return root;
    throw new IronError('E_NO_PIN', `${folder} has no root for ${name}`, {
      hint: `nothing was changed; put the root that you trust there, as ${name}.json`,
    });
  };
}
