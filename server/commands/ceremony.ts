/** `ceremony`: the first root and the first targets, signed in one place or from machine to machine. */

import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { YES_OPTION } from '../../shared/cli/confirm.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { IronError } from '../../shared/errors.ts';
import { CEREMONY_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { formatMetadata, type RoleSpec } from '../../shared/tuf/build.ts';
import { diffText, trustDiff } from '../../shared/tuf/diff/trust-diff.ts';
import { type Answers, answersOf } from '../ceremony/answers.ts';
import {
  type CeremonyFiles,
  formatCeremonyFile,
  parseCeremonyFile,
  readCeremony,
} from '../ceremony/ceremony-file.ts';
import { expiryFor } from '../ceremony/expiry.ts';
import { readAs, replaceSigned } from '../ceremony/files.ts';
import { inOne, resultOf, writeCeremony } from '../ceremony/outcome.ts';
import { ceremonyStanding, signRound } from '../ceremony/round.ts';
import {
  type SetUp,
  setUpText,
  setUpTrees,
  spareWarnings,
  verifySetUp,
} from '../ceremony/set-up.ts';
import { maybeSignersOf, PASSPHRASE_OPTION, type Participant } from '../ceremony/signers.ts';
import { confirmSigning } from '../ceremony/signing.ts';

export const ceremony: CommandSpec = {
  name: 'ceremony',
  summary: 'make the first root and the first targets of a repository, and sign them',
  description:
    'Makes root 1 and targets 1 from the keys that are given; at a terminal it asks for what is not. A key given by its public half is listed and signs later, on its own machine. --out FILE.json writes one file that goes from machine to machine: each signer runs `ceremony --in FILE.json --key KEY`, is shown who may do what, and adds a signature; `submit` takes it when it is complete. --out FOLDER writes the files one by one, also out of such a file. Of the service only the public halves are needed.',
  options: [
    {
      flags: '-o, --out <place>',
      description: 'a file NAME.json that holds everything, or a folder',
    },
    { flags: '-i, --in <file>', description: 'the file of a ceremony, to sign it or to unpack it' },
    {
      flags: '-k, --key <key>',
      description: 'with --in: a key to sign with, of whatever role',
      repeatable: true,
    },
    {
      flags: '--root-key <key>',
      description: 'a root key: a key file or signer URI, or a public half',
      repeatable: true,
    },
    { flags: '--root-threshold <n>', description: 'how many root keys must sign' },
    { flags: '--targets-key <key>', description: 'a targets key, likewise', repeatable: true },
    { flags: '--targets-threshold <n>', description: 'how many must sign', default: '1' },
    {
      flags: '--snapshot-key <key>',
      description: 'the snapshot key: its public half, or a signer URI',
    },
    { flags: '--timestamp-key <key>', description: 'the timestamp key, likewise' },
    {
      flags: '--security-key <key>',
      description: 'a key of the security team, which signs revocations: as a root key',
      repeatable: true,
    },
    { flags: '--security-threshold <n>', description: 'how many must sign', default: '1' },
    {
      flags: '--renewal-key <key>',
      description: 'the key that renews the list of revocations, on a machine apart',
    },
    { flags: '--expires-in <span>', description: 'how long the root is valid', default: '365d' },
    {
      flags: '--targets-expires-in <span>',
      description: 'how long the targets are',
      default: '182d',
    },
    YES_OPTION,
    PASSPHRASE_OPTION,
  ],
  examples: [
    'ironport-repo ceremony --out ceremony.json --root-key r1.json --root-key r2.pub.json --root-key r3.pub.json --root-threshold 2 --targets-key t1.pub.json --snapshot-key snapshot.pub.json --timestamp-key timestamp.pub.json --security-key s1.pub.json --security-key s2.pub.json --renewal-key renewal.pub.json',
    'ironport-repo ceremony --in ceremony.json --key r2.json',
    'ironport-repo ceremony',
  ],
  schema: 'ironport-repo/ceremony/v1',
  run: (context) => (context.text('in') === undefined ? begin(context) : nextRound(context)),
};

async function begin(context: CommandContext): Promise<CommandResult> {
  const { ui } = context;
  const now = systemClock();
  const answers = await answersOf(context);
  const { setUp, signers } = setUpOf(context, answers);
  for (const warning of verifySetUp(crypto, setUp)) ui.warn(warning);
  const words = setUpText(crypto, setUp);
  ui.stage(words);
  await confirmSigning(context, 'root 1 and targets 1', signers);
  const trees = setUpTrees(crypto, setUp);
  const unsigned = {
    root: formatMetadata(trees.root, new Map()),
    targets: formatMetadata(trees.targets, new Map()),
    list: undefined,
    revocations: undefined,
  };
  const files = await signRound(unsigned, signers, now);
  return resultOf(await writeCeremony(answers.out, files), files, words.split('\n'));
}

/** The set-up, and the signers of it who are here. */
function setUpOf(
  context: CommandContext,
  answers: Answers,
): { readonly setUp: SetUp; readonly signers: Signer[] } {
  const now = systemClock();
  const { root, targets, security, renewal, snapshot, timestamp } = answers;
  const setUp: SetUp = {
    root: roleSpec(root, answers.rootThreshold),
    targets: roleSpec(targets, answers.targetsThreshold),
    ...{ snapshot, timestamp },
    revocations: teamOf(roleSpec(security, answers.securityThreshold), renewal),
    rootExpires: expiryFor(context, 'root', now),
    targetsExpires: expiryFor(context, 'targets', now, 'targets-expires-in'),
  };
  const everybody = [...root, ...targets, ...security, ...(renewal === undefined ? [] : [renewal])];
  return {
    setUp,
    signers: everybody.map(({ signer }) => signer).filter((signer) => signer !== undefined),
  };
}

function roleSpec(people: readonly Participant[], threshold: number): RoleSpec {
  return { keys: people.map(({ key }) => key), threshold };
}

/** Both or neither: a team whose list nobody renews would stop every host after a week. */
function teamOf(team: RoleSpec, renewal: Participant | undefined): SetUp['revocations'] {
  if (team.keys.length === 0 && renewal === undefined) return undefined;
  if (team.keys.length > 0 && renewal !== undefined) return { team, renewal: renewal.key };
  throw new IronError('E_USAGE', '--security-key and --renewal-key come together', {
    hint: 'nothing was written; the team signs the list, and the renewal key says every few days that it still stands',
  });
}

/** How many signatures count, and whether the list is listed. */
function signaturesIn(files: CeremonyFiles): number {
  const { root, targets, list, isListed } = ceremonyStanding(files);
  const role = [...root, ...targets].reduce((sum, { have }) => sum + have, 0);
  return role + (list?.have ?? 0) + (isListed ? 1 : 0);
}

/** Shows what the file says, adds the signatures of who is here, and writes it again or elsewhere. */
async function nextRound(context: CommandContext): Promise<CommandResult> {
  const { ui } = context;
  const now = systemClock();
  const path = context.need('in');
  const read = await readFileCapped(path, CEREMONY_LIMITS.file);
  const [before, { root, targets }] = readAs(path, 'the file of a ceremony', () => {
    const files = parseCeremonyFile(read, path);
    return [files, readCeremony(files)] as const;
  });
  const signers = await maybeSignersOf(context);
  const out = context.text('out');
  if (signers.length === 0 && out === undefined)
    throw new IronError('E_USAGE', 'neither --key nor --out was given', {
      hint: 'nothing was written; sign it with --key KEY, or unpack it with --out FOLDER',
    });
  const parts = [
    { type: 'root', file: root },
    { type: 'targets', file: targets },
  ] as const;
  const words = parts.map((part) => diffText(trustDiff(crypto, undefined, part, now)));
  ui.stage(`root 1 says:\n${words[0]}\ntargets 1 says:\n${words[1]}`);
  for (const role of ['root', 'targets'] as const) {
    const { keyids, threshold } = root.roles[role];
    for (const warning of spareWarnings(role, keyids.length, threshold)) ui.warn(warning);
  }
  await confirmSigning(context, 'root 1 and targets 1, as far as they count,', signers);
  const files = await signRound(before, signers, now);
  if (signers.length > 0 && signaturesIn(files) === signaturesIn(before))
    ui.warn('no signature came to it: all that these keys may sign here, they had signed before');
  if (out !== undefined) return resultOf(await writeCeremony(out, files), files, words);
  await replaceSigned(path, read, formatCeremonyFile(files), CEREMONY_LIMITS.file);
  return resultOf(inOne(path), files, words);
}
