/** `root rotate` and `root renew`: the root that follows. */

import type {
  CommandContext,
  CommandResult,
  CommandSpec,
  OptionSpec,
} from '../../shared/cli/command.ts';
import { YES_OPTION } from '../../shared/cli/confirm.ts';
import type { PublicKey } from '../../shared/crypto/key.ts';
import { IronError } from '../../shared/errors.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { formatInstant } from '../../shared/time.ts';
import type { RoleFile } from '../../shared/tuf/diff/trust-diff.ts';
import { keyId } from '../../shared/tuf/key.ts';
import { isComplete } from '../../shared/tuf/standing.ts';
import { expiryFor } from '../ceremony/expiry.ts';
import { loadRoot, writeSigned } from '../ceremony/files.ts';
import { nextRoot, type Replacement, type RootChange } from '../ceremony/next-root.ts';
import { spareWarnings } from '../ceremony/set-up.ts';
import { KEY_OPTION, PASSPHRASE_OPTION, publicKeyOf, signersOf } from '../ceremony/signers.ts';
import {
  confirmSigning,
  nextStep,
  showChanges,
  signAndCount,
  unsignedFile,
} from '../ceremony/signing.ts';

const COMMON: readonly OptionSpec[] = [
  { flags: '--root <file>', description: 'the root that is in force now', required: true },
  KEY_OPTION,
  { flags: '-o, --out <file>', description: 'file to write', required: true },
  { flags: '--expires-in <span>', description: 'how long the new root is valid', default: '365d' },
  YES_OPTION,
  PASSPHRASE_OPTION,
];

export const rootRotate: CommandSpec = {
  name: 'root rotate',
  summary: 'make a root in which keys or thresholds are others',
  description:
    'The new root must be signed by enough keys of the old one and enough of its own. Replacing the snapshot or timestamp key makes hosts drop the timestamp and snapshot that they trust, which recovers them from stolen online keys. An old key is named by its id (8 digits or more) or its public half.',
  options: [
    ...COMMON,
    {
      flags: '--replace-snapshot <key>',
      description: 'public half of the new snapshot key, or its URI',
    },
    {
      flags: '--replace-timestamp <key>',
      description: 'public half of the new timestamp key, or its URI',
    },
    {
      flags: '--add-snapshot <key>',
      description: 'a snapshot key beside those there are; any one of them may sign from then on',
    },
    { flags: '--add-timestamp <key>', description: 'a timestamp key, likewise' },
    {
      flags: '--replace-root <old=new>',
      description: 'a root key and the public half that takes its place',
      repeatable: true,
    },
    {
      flags: '--replace-targets <old=new>',
      description: 'a targets key, likewise',
      repeatable: true,
    },
    { flags: '--threshold <n>', description: 'how many root keys must sign from now on' },
    { flags: '--targets-threshold <n>', description: 'how many targets keys must' },
  ],
  examples: [
    'ironport-repo root rotate --root 1.root.json --key r1.json --key r2.json --replace-snapshot s2.pub.json --replace-timestamp ts2.pub.json --out 2.root.json',
    'ironport-repo root rotate --root 1.root.json --key r1.json --replace-root 8c1f0e9a=r4.pub.json --out 2.root.json',
  ],
  schema: 'ironport-repo/root-rotate/v1',
  async run(context) {
    const change: RootChange = {
      snapshot: await maybePublicKey(context, context.text('replace-snapshot')),
      timestamp: await maybePublicKey(context, context.text('replace-timestamp')),
      added: await additions(context),
      replacements: [
        ...(await replacements(context, 'root', context.list('replace-root'))),
        ...(await replacements(context, 'targets', context.list('replace-targets'))),
      ],
      rootThreshold: context.number('threshold', 1),
      targetsThreshold: context.number('targets-threshold', 1),
    };
    if (
      Object.values(change).every(
        (part) => part === undefined || (Array.isArray(part) && part.length === 0),
      )
    )
      throw new IronError('E_USAGE', 'nothing was said that should change', {
        hint: 'to sign the same trust with a new date, use `ironport-repo root renew`',
      });
    return follow(context, change);
  },
};

export const rootRenew: CommandSpec = {
  name: 'root renew',
  summary: 'make a root that says the same and is valid longer',
  options: COMMON,
  examples: [
    'ironport-repo root renew --root 1.root.json --key r1.json --key r2.json --out 2.root.json',
  ],
  schema: 'ironport-repo/root-renew/v1',
  run: (context) => follow(context, {}),
};

/** Makes, shows, signs and writes the root that follows. */
async function follow(context: CommandContext, change: RootChange): Promise<CommandResult> {
  const root = await loadRoot(context.need('root'));
  const now = systemClock();
  const expires = expiryFor(context, 'root', now);
  const file = unsignedFile(nextRoot(crypto, root, change, expires), 'root');
  const signers = await signersOf(context);
  const changes = showChanges(context.ui, file, { type: 'root', file: root }, now);
  for (const warning of spareWarning(file)) context.ui.warn(warning);
  await confirmSigning(context, `root ${root.version + 1}`, signers);
  const signed = await signAndCount(file, root, signers);
  const out = context.need('out');
  await writeSigned(out, signed.bytes);
  return {
    data: {
      file: out,
      version: root.version + 1,
      expires: formatInstant(expires),
      changes,
      signatures: signed.standings,
      complete: isComplete(signed.standings),
    },
    text: nextStep(out, signed),
  };
}

/** Said again with each root: the warning is about a state and not about a step. */
function spareWarning(file: RoleFile): string[] {
  if (file.type !== 'root') return [];
  const { keyids, threshold } = file.file.roles.root;
  return spareWarnings('root', keyids.length, threshold);
}

async function maybePublicKey(
  context: CommandContext,
  uri: string | undefined,
): Promise<PublicKey | undefined> {
  return uri === undefined ? undefined : publicKeyOf(context, uri);
}

async function additions(context: CommandContext): Promise<NonNullable<RootChange['added']>> {
  const added = [];
  for (const role of ['snapshot', 'timestamp'] as const) {
    const key = await maybePublicKey(context, context.text(`add-${role}`));
    if (key !== undefined) added.push({ role, key });
  }
  return added;
}

/** `OLD=NEW`: OLD is a key id, the beginning of one, or a file; NEW is the file of a public half. */
async function replacements(
  context: CommandContext,
  role: Replacement['role'],
  texts: readonly string[],
): Promise<Replacement[]> {
  const list: Replacement[] = [];
  for (const text of texts) {
    const [, old, path] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    if (old === undefined || path === undefined)
      throw new IronError(
        'E_USAGE',
        `--replace-${role} takes OLD=NEW, not ${JSON.stringify(text)}`,
      );
    const id = /^[0-9a-f]{8,64}$/.test(old) ? old : keyId(crypto, await publicKeyOf(context, old));
    list.push({ role, old: id, new: await publicKeyOf(context, path) });
  }
  return list;
}
