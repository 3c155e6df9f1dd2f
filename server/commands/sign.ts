/** `sign`: one signature more on a file that is passed around. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { YES_OPTION } from '../../shared/cli/confirm.ts';
import { IronError } from '../../shared/errors.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { parseRoleFile } from '../../shared/tuf/diff/trust-diff.ts';
import { isComplete, type Standing, standingsOf } from '../../shared/tuf/standing.ts';
import { loadRoleFile, maybeRoot, readAs, replaceSigned, writeSigned } from '../ceremony/files.ts';
import { KEY_OPTION, PASSPHRASE_OPTION, signersOf } from '../ceremony/signers.ts';
import { confirmSigning, nextStep, showChanges, signAndCount } from '../ceremony/signing.ts';

function countOf(standings: readonly Standing[]): number {
  return standings.reduce((sum, { have }) => sum + have, 0);
}

export const sign: CommandSpec = {
  name: 'sign',
  summary: 'show what a root or targets file changes, and sign it',
  description:
    'Says in words who gains or loses which paths, keys, thresholds and hardware against the file that it follows, then adds a signature. Without --out the file itself gets it.',
  arguments: [{ name: 'file', description: 'a root or targets file, signed by others or not yet' }],
  options: [
    KEY_OPTION,
    { flags: '--against <file>', description: 'the version that it follows, to compare with' },
    {
      flags: '--root <file>',
      description: 'the root that says whose signatures count; for a root file --against is it',
    },
    { flags: '-o, --out <file>', description: 'file to write instead of FILE' },
    YES_OPTION,
    PASSPHRASE_OPTION,
  ],
  examples: [
    'ironport-repo sign 2.root.json --key root-2.json --against 1.root.json',
    'ironport-repo sign 5.targets.json --key t2.json --against 4.targets.json --root 1.root.json',
  ],
  schema: 'ironport-repo/sign/v1',
  async run(context) {
    const path = context.args[0] as string;
    const read = await readFileCapped(path, METADATA_LIMITS.targets);
    const file = readAs(path, 'a root or targets file', () => parseRoleFile(read, path));
    const earlier = context.text('against');
    const against = earlier === undefined ? undefined : await loadRoleFile(earlier);
    const given = await maybeRoot(context.text('root'));
    if (given !== undefined && file.type === 'root')
      throw new IronError('E_USAGE', 'for a root file, the root before it is given by --against');
    const root = file.type === 'root' && against?.type === 'root' ? against.file : given;

    const signers = await signersOf(context);
    const changes = showChanges(context.ui, file, against, systemClock());
    await confirmSigning(context, `${file.type} ${file.file.version}`, signers);
    const signed = await signAndCount(file, root, signers);
    if (
      countOf(signed.standings) === countOf(standingsOf(crypto, file, root)) &&
      root !== undefined
    )
      context.ui.warn('no signature came to it: these keys had signed it before');
    const out = context.text('out');
    if (out === undefined) await replaceSigned(path, read, signed.bytes);
    else await writeSigned(out, signed.bytes);
    return {
      data: {
        file: out ?? path,
        type: file.type,
        version: file.file.version,
        changes,
        signatures: signed.standings,
        complete: signed.standings.length > 0 && isComplete(signed.standings),
      },
      text: nextStep(out ?? path, signed),
    };
  },
};
