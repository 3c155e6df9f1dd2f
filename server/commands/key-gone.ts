/** `key lost` and `key compromised`: the files that take a key out of use, in one command. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type {
  CommandContext,
  CommandResult,
  CommandSpec,
  OptionSpec,
} from '../../shared/cli/command.ts';
import { YES_OPTION } from '../../shared/cli/confirm.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { IronError } from '../../shared/errors.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { keyId, shortKeyId } from '../../shared/tuf/key.ts';
import type { Root } from '../../shared/tuf/root.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { renewedTargets } from '../ceremony/change-vendor.ts';
import { expiryFor } from '../ceremony/expiry.ts';
import { demandFree, loadRoot, loadTargets } from '../ceremony/files.ts';
import { follow, signersFor, verifyBase } from '../ceremony/follow.ts';
import { changeWithout, findKey, type GoneKey } from '../ceremony/lost-key.ts';
import { nextRoot } from '../ceremony/next-root.ts';
import { spareWarnings } from '../ceremony/set-up.ts';
import { KEY_OPTION, PASSPHRASE_OPTION, publicKeyOf, signersOf } from '../ceremony/signers.ts';

const KEY = { name: 'keyid', description: 'its id, or 8 digits or more of it' };
const OPTIONS: readonly OptionSpec[] = [
  { flags: '--root <file>', description: 'the root that is in force now', required: true },
  { flags: '--targets <file>', description: 'the targets in force, when the key signs targets' },
  { ...KEY_OPTION, description: 'a key that is left, to sign with; may be given several times' },
  { flags: '--new <key>', description: 'public half of the key that takes its place, or its URI' },
  { flags: '-o, --out <folder>', description: 'folder to write into', required: true },
  { flags: '--expires-in <span>', description: 'how long the root is valid', default: '365d' },
  {
    flags: '--targets-expires-in <span>',
    description: 'how long the targets are valid',
    default: '182d',
  },
  YES_OPTION,
  PASSPHRASE_OPTION,
];

export const keyLost: CommandSpec = {
  name: 'key lost',
  summary: 'take a key out of use that nobody can sign with any more',
  description:
    'Finds what the key may sign, and writes the next root without it, or with --new in its place; when it signs targets, the next targets as well, for the new root. The others sign with `sign`, then `submit` takes all of the files at once.',
  arguments: [KEY],
  options: OPTIONS,
  examples: [
    'ironport-repo key lost 8c1f0e9a --root 1.root.json --key r2.json --key r3.json --new r4.pub.json --out lost',
  ],
  schema: 'ironport-repo/key-lost/v1',
  run: (context) => takeOut(context, 'lost'),
};

export const keyCompromised: CommandSpec = {
  name: 'key compromised',
  summary: 'take a key out of use that is in strange hands',
  description:
    'As `key lost`, and says what whoever has the key could do with it, and what to look at. The stolen key signs no root. It may sign the targets once more, beside the one that follows it: they then hold under either root, no reader is refused in between, and a thief gains nothing.',
  arguments: [KEY],
  options: OPTIONS,
  examples: [
    'ironport-repo key compromised 77ab01f2 --root 1.root.json --targets 4.targets.json --key r1.json --key r2.json --key t2.json --new t3.pub.json --out stolen',
  ],
  schema: 'ironport-repo/key-compromised/v1',
  run: (context) => takeOut(context, 'compromised'),
};

async function takeOut(
  context: CommandContext,
  how: 'lost' | 'compromised',
): Promise<CommandResult> {
  const root = await loadRoot(context.need('root'));
  const path = context.text('targets');
  const targets = path === undefined ? undefined : await loadTargets(path);
  if (targets !== undefined) verifyBase(targets, root);
  const gone = findKey(crypto, root, targets, context.args[0] as string);
  if (gone.roles.includes('targets') && targets === undefined)
    throw new IronError('E_USAGE', 'the key signs targets, and they must be signed again', {
      hint: 'nothing was written; give the ones in force with --targets',
    });
  const next = context.text('new');
  const change = changeWithout(
    root,
    gone,
    next === undefined ? undefined : await publicKeyOf(context, next),
  );
  const signers = await signersOf(context);
  const isGone = ({ key }: Signer): boolean => keyId(crypto, key) === gone.keyid;
  if (signers.some(isGone) && !(how === 'compromised' && gone.roles.includes('targets')))
    throw new IronError('E_USAGE', 'the key that is taken out of use cannot sign that it is', {
      hint: 'nothing was written; sign with the keys that are left',
    });
  const advice = adviceFor(how, gone, root);
  for (const line of advice) context.ui.note(line);

  const out = context.need('out');
  await onPath(out, () => mkdir(out, { recursive: true }));
  const alsoTargets = gone.roles.includes('targets') ? targets : undefined;
  for (const name of [
    `${root.version + 1}.root.json`,
    ...(alsoTargets === undefined ? [] : [`${alsoTargets.version + 1}.targets.json`]),
  ])
    await demandFree(join(out, name));
  const others = signers.filter((signer) => !isGone(signer));
  const rootFile = await writeRoot(context, root, change, others, out);
  const files = [rootFile];
  if (alsoTargets !== undefined)
    files.push(await writeTargets(context, alsoTargets, [rootFile.root, root], signers, out));
  const list = files.map(({ data }) => data.file).join(' ');
  return {
    data: {
      keyid: gone.keyid,
      roles: gone.roles,
      advice,
      files: files.map(({ data }) => data),
      complete: files.every(({ data }) => data.complete),
    },
    text: [
      `${shortKeyId(gone.keyid)} signed ${gone.roles.join(' and ')}, and does no more once these are published`,
      ...files.map(({ text }) => text),
      `when all are complete: \`ironport-repo submit ${list}\``,
    ].join('\n'),
  };
}

async function writeRoot(
  context: CommandContext,
  root: Root,
  change: Parameters<typeof nextRoot>[2],
  signers: readonly Signer[],
  out: string,
) {
  const expires = expiryFor(context, 'root', systemClock());
  const tree = nextRoot(crypto, root, change, expires);
  const { data, text, parsed } = await follow(context, {
    before: { type: 'root', file: root },
    tree,
    root,
    // Keys of targets count for nothing on a root; whoever gave them meant the targets.
    signers: signersFor(signers, 'root', root),
    out: join(out, `${root.version + 1}.root.json`),
  });
  const made = parsed.file as Root;
  const { keyids, threshold } = made.roles.root;
  for (const warning of spareWarnings('root', keyids.length, threshold)) context.ui.warn(warning);
  return { data, text, root: made };
}

async function writeTargets(
  context: CommandContext,
  targets: Targets,
  [root, also]: readonly [Root, Root],
  signers: readonly Signer[],
  out: string,
) {
  const expires = expiryFor(context, 'targets', systemClock(), 'targets-expires-in');
  const { data, text } = await follow(context, {
    before: { type: 'targets', file: targets },
    tree: renewedTargets(targets, expires),
    root,
    also,
    signers: signersFor(signers, 'targets', root, also),
    out: join(out, `${targets.version + 1}.targets.json`),
  });
  return { data, text, root };
}

/** What to think of besides the files. */
function adviceFor(how: 'lost' | 'compromised', { roles }: GoneKey, root: Root): string[] {
  if (how === 'lost')
    return ['what it signed stays valid; there is time, as long as the others can sign'];
  return roles.map((role) => {
    if (role === 'snapshot' || role === 'timestamp')
      return `with the ${role} key a thief can withhold and mix published files, and drive versions up; hosts forget those versions with the new root. Put the new private half into private/keys of the service before you submit; if the machine was broken into, replace both online keys`;
    const { threshold } = root.roles[role];
    const alone = threshold === 1 ? 'alone' : `together with ${threshold - 1} more`;
    return role === 'targets'
      ? `${alone} it can admit vendors: compare \`vendor list\` of what is published with what you signed`
      : `${alone} it can make a root: look at every root that is published after ${root.version}`;
  });
}
