/** `ceremony`: the first root and the first targets. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandContext, CommandSpec } from '../../shared/cli/command.ts';
import { YES_OPTION } from '../../shared/cli/confirm.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { IronError } from '../../shared/errors.ts';
import { LIFETIMES } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { emptyList } from '../../shared/revocation/list.ts';
import { listStanding } from '../../shared/revocation/signed-list.ts';
import { formatInstant, type Instant, parseSpan } from '../../shared/time.ts';
import { formatMetadata, type RoleSpec, sign } from '../../shared/tuf/build.ts';
import { parseRoot } from '../../shared/tuf/root.ts';
import { writeSigned } from '../ceremony/files.ts';
import { listingTree, signList } from '../ceremony/revocations.ts';
import { type SetUp, setUpText, setUpTrees, verifySetUp } from '../ceremony/set-up.ts';
import {
  PASSPHRASE_OPTION,
  type Participant,
  participants,
  publicKeyOf,
} from '../ceremony/signers.ts';
import { confirmSigning, nextStep, signAndCount, unsignedFile } from '../ceremony/signing.ts';

export const ceremony: CommandSpec = {
  name: 'ceremony',
  summary: 'make the first root and the first targets of a repository, and sign them',
  description:
    'Writes 1.root.json and 1.targets.json into FOLDER. A key given by its public half is listed and signs later, on its own machine, with `ironport-repo sign`. Of the service only the public halves are needed.',
  options: [
    { flags: '-o, --out <folder>', description: 'folder to write into', required: true },
    {
      flags: '--root-key <key>',
      description: 'a root key: a key file or signer URI, or a public half',
      repeatable: true,
      required: true,
    },
    { flags: '--root-threshold <n>', description: 'how many root keys must sign', required: true },
    {
      flags: '--targets-key <key>',
      description: 'a targets key, likewise',
      repeatable: true,
      required: true,
    },
    { flags: '--targets-threshold <n>', description: 'how many must sign', default: '1' },
    {
      flags: '--snapshot-key <key>',
      description: 'the snapshot key: its public half, or a signer URI',
      required: true,
    },
    {
      flags: '--timestamp-key <key>',
      description: 'the timestamp key, likewise',
      required: true,
    },
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
    'ironport-repo ceremony --out signed --root-key r1.json --root-key r2.json --root-key r3.pub.json --root-threshold 2 --targets-key t1.json --snapshot-key snapshot.pub.json --timestamp-key timestamp.pub.json --security-key s1.json --security-key s2.pub.json --security-threshold 2 --renewal-key renewal.pub.json',
  ],
  schema: 'ironport-repo/ceremony/v1',
  async run(context) {
    const people = {
      root: await participants(context, context.list('root-key')),
      targets: await participants(context, context.list('targets-key')),
    };
    const now = systemClock();
    const security = await participants(context, context.list('security-key'));
    const [renewal] = await participants(context, maybe(context.text('renewal-key')));
    const team = teamOf(context, security, renewal);
    const setUp: SetUp = {
      root: roleSpec(people.root, context.number('root-threshold', 1)),
      targets: roleSpec(people.targets, context.number('targets-threshold', 1)),
      snapshot: await publicKeyOf(context, context.need('snapshot-key')),
      timestamp: await publicKeyOf(context, context.need('timestamp-key')),
      revocations: team,
      rootExpires: now + parseSpan(context.need('expires-in')),
      targetsExpires: now + parseSpan(context.need('targets-expires-in')),
    };
    for (const warning of verifySetUp(crypto, setUp)) context.ui.warn(warning);

    const words = setUpText(crypto, setUp);
    context.ui.stage(words);
    const signers = [...present(people.root), ...present(people.targets), ...present(security)];
    await confirmSigning(context, 'root 1 and targets 1', signers);
    const trees = setUpTrees(crypto, setUp);
    const root = await signAndCount(
      unsignedFile(trees.root, 'root'),
      undefined,
      present(people.root),
    );
    const targets = await signAndCount(
      unsignedFile(trees.targets, 'targets'),
      parseRoot(root.bytes),
      present(people.targets),
    );

    const out = context.need('out');
    await onPath(out, () => mkdir(out, { recursive: true }));
    const paths = { root: join(out, '1.root.json'), targets: join(out, '1.targets.json') };
    await writeSigned(paths.root, root.bytes);
    await writeSigned(paths.targets, targets.bytes);
    const revoked = team && (await firstList(out, team, present(security), renewal, now));
    return {
      data: {
        root: {
          file: paths.root,
          signatures: root.standings,
          expires: formatInstant(setUp.rootExpires),
        },
        targets: {
          file: paths.targets,
          signatures: targets.standings,
          expires: formatInstant(setUp.targetsExpires),
        },
        revocations: revoked ?? null,
        trust: words.split('\n'),
      },
      text: [
        nextStep(paths.root, root),
        nextStep(paths.targets, targets),
        ...(revoked === undefined ? [] : [revokedText(revoked)]),
      ].join('\n'),
    };
  },
};

function roleSpec(people: readonly Participant[], threshold: number | undefined): RoleSpec {
  return { keys: people.map(({ key }) => key), threshold: threshold ?? 1 };
}

/** Those who can sign here and now. */
function present(people: readonly Participant[]): Signer[] {
  return people.map(({ signer }) => signer).filter((signer) => signer !== undefined);
}

type Team = NonNullable<SetUp['revocations']>;

function maybe(text: string | undefined): string[] {
  return text === undefined ? [] : [text];
}

/** Both or neither: a team whose list nobody renews would stop every host after a week. */
function teamOf(
  context: CommandContext,
  security: readonly Participant[],
  renewal: Participant | undefined,
): Team | undefined {
  if (security.length === 0 && renewal === undefined) return undefined;
  if (security.length > 0 && renewal !== undefined) {
    const team = roleSpec(security, context.number('security-threshold', 1));
    return { team, renewal: renewal.key };
  }
  throw new IronError('E_USAGE', '--security-key and --renewal-key come together', {
    hint: 'nothing was written; the team signs the list, and the renewal key says every few days that it still stands',
  });
}

/** The first list, which revokes nothing, and the role that lists it when its key is here too. */
async function firstList(
  out: string,
  { team }: Team,
  signers: readonly Signer[],
  renewal: Participant | undefined,
  now: Instant,
) {
  if (signers.length === 0) return { list: null, role: null, have: 0, need: team.threshold };
  const trust = { epoch: 1, ...team };
  const bytes = await signList(crypto, emptyList(1, now), trust, signers);
  const list = join(out, '1.list.json');
  await writeSigned(list, bytes);
  const have = listStanding(crypto, bytes, trust);
  const found = { list, have, need: team.threshold };
  // A signature more makes it another file, with another digest: it is listed when it is whole.
  if (have < team.threshold || renewal?.signer === undefined) return { ...found, role: null };
  const tree = listingTree(crypto, bytes, 1, now + LIFETIMES.revocations);
  const role = join(out, '1.revocations.json');
  await writeSigned(role, formatMetadata(tree, await sign(crypto, tree, [renewal.signer])));
  return { ...found, role };
}

function revokedText({ list, role, have, need }: Awaited<ReturnType<typeof firstList>>): string {
  if (list === null)
    return 'no key of the security team is here: `ironport-repo revocations new` makes the first list';
  if (have < need)
    return `${list} has ${have} of the ${need} signatures needed by the security team: \`ironport-repo revocations sign\` on another signer's machine`;
  return role === null
    ? `${list} is complete; \`ironport-repo revocations renew\` on the renewal machine lists it`
    : `${list} and ${role} are complete; they are submitted together with the targets`;
}
