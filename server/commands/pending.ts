/** `pending`: changes that wait at the service for signatures. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type DraftReply,
  demandSignedDigits,
  draftReply,
  isListAlone,
  lacking,
  shortDraftId,
} from '../../shared/api/pending.ts';
import { errorFromBody } from '../../shared/api/upload.ts';
import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { YES_OPTION } from '../../shared/cli/confirm.ts';
import { table } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { api } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import type { TrustChange } from '../../shared/tuf/diff/change.ts';
import { draftFiles, readDraft } from '../ceremony/draft.ts';
import { writeTogether } from '../ceremony/files.ts';
import { type Signable, signableRoles } from '../ceremony/signable.ts';
import { signableList } from '../ceremony/signable-list.ts';
import { KEY_OPTION, PASSPHRASE_OPTION, signersOf } from '../ceremony/signers.ts';
import { confirmSigning } from '../ceremony/signing.ts';
import { standingTree } from '../ceremony/standing-tree.ts';
import { DIR_OPTION } from '../config.ts';
import { askService, fetchShown, type Reach } from './ask-service.ts';
import {
  bringDraft,
  DRAFT_ARGUMENT,
  draftData,
  draftRow,
  draftText,
  draftWords,
  findDraft,
  listDrafts,
  reachOf,
  resolveDraft,
  SIGNED_DRAFT_ARGUMENT,
  URL_OPTION,
} from './drafts.ts';
import { settled, submission } from './hand-in.ts';

const ROOT = {
  flags: '--root <file>',
  description:
    'a root that you trust, of any version: what is published is verified from it, and the change is compared with that',
  required: true,
} as const;

export const pendingList: CommandSpec = {
  name: 'pending list',
  summary: 'show the changes that wait at the service for signatures',
  description:
    'Who signed, how many signatures are missing and until when the change waits, as the service says it. Changes that ended are shown with --all.',
  options: [DIR_OPTION, URL_OPTION, { flags: '--all', description: 'those that ended, too' }],
  examples: ['ironport-repo pending list --url https://drivers.example'],
  schema: 'ironport-repo/pending-list/v1',
  async run(context) {
    const all = await listDrafts(context, await reachOf(context));
    const drafts = context.flag('all') ? all : all.filter(({ state }) => state === 'open');
    return {
      data: { changes: drafts.map((draft) => ({ ...draft, lacking: lacking(draft) })) },
      text:
        drafts.length === 0
          ? 'no change waits for signatures'
          : table([['CHANGE', 'WHAT', 'SIGNED BY', '', ''], ...drafts.map(draftRow)]),
    };
  },
};

export const pendingShow: CommandSpec = {
  name: 'pending show',
  summary: 'say what a change that waits would change, and whose signatures it lacks',
  description:
    'Verifies what is published from --root, and says in words who gains or loses what. With --out the files are written there, to be signed on a machine without a network with `sign`; `submit` brings the signature.',
  arguments: [DRAFT_ARGUMENT],
  options: [
    ROOT,
    DIR_OPTION,
    URL_OPTION,
    { flags: '-o, --out <folder>', description: 'folder to write its files into' },
  ],
  examples: [
    'ironport-repo pending show 5f0c9a31 --root 1.root.json --url https://drivers.example --out carry',
  ],
  schema: 'ironport-repo/pending-show/v1',
  async run(context) {
    const { reply, draft } = await load(context, await reachOf(context));
    const changes = draft.show(context);
    const out = context.text('out');
    const files = out === undefined ? [] : await writeFiles(out, draft);
    return {
      data: { ...draftData(reply), changes, written: files },
      text: [draftText(reply), ...files.map((file) => `written to ${file}`)].join('\n'),
    };
  },
};

export const pendingSign: CommandSpec = {
  name: 'pending sign',
  summary: 'show a change that waits, sign it at home, and hand the signature in',
  description:
    'As `pending show`, then asks, signs with the keys that are here, and brings the signature to the service. With the last one it is published.',
  arguments: [SIGNED_DRAFT_ARGUMENT],
  options: [ROOT, KEY_OPTION, DIR_OPTION, URL_OPTION, YES_OPTION, PASSPHRASE_OPTION],
  examples: [
    'ironport-repo pending sign 5f0c9a317d2be846 --root 1.root.json --key root-2.json --url https://drivers.example',
  ],
  schema: 'ironport-repo/pending-sign/v1',
  async run(context) {
    demandSignedDigits(context.args[0] as string);
    const reach = await reachOf(context);
    const { reply: asked, draft } = await load(context, reach);
    const signers = await signersOf(context);
    draft.demandUseful(signers);
    const changes = draft.show(context);
    await confirmSigning(context, `${draft.words} (${shortDraftId(asked)})`, signers);
    const files = await draft.sign(signers);
    const reply = await bringDraft(context, reach, files);
    return await outcome(context, reach, reply, changes);
  },
};

export const pendingDrop: CommandSpec = {
  name: 'pending drop',
  summary: 'drop a change that waits: on the machine of the service, to make room',
  description:
    'For changes that nobody will finish. Nothing that is published changes, and the same change can be brought again.',
  arguments: [DRAFT_ARGUMENT],
  options: [DIR_OPTION],
  examples: ['ironport-repo pending drop 5f0c9a31 --dir repo-data'],
  schema: 'ironport-repo/pending-drop/v1',
  async run(context) {
    const reach = await reachOf(context);
    const { id } = resolveDraft(await listDrafts(context, reach), context.args[0] as string);
    const path = api.operatorDraft(id);
    const reply = await askService(context, reach, { method: 'DELETE', path, answer: draftReply });
    return { data: draftData(reply), text: `${draftWords(reply)} waits no longer` };
  },
};

/** The draft, read against what is published; what ended is an error that says how. */
async function load(
  context: CommandContext,
  reach: Reach,
): Promise<{ readonly reply: DraftReply; readonly draft: Signable }> {
  const pinned = await readFileCapped(context.need('root'), METADATA_LIMITS.root);
  const reply = await findDraft(context, reach, context.args[0] as string);
  if (reply.state !== 'open') throw endedError(reply);
  const standing = await standingTree(pinned, (path, cap) =>
    fetchShown(context, reach.url, path, cap),
  );
  const files = draftFiles(reply);
  const draft = isListAlone(files)
    ? await signableList(files[0], standing)
    : signableRoles(readDraft(files, standing));
  return { reply, draft };
}

async function writeFiles(folder: string, { named }: Signable): Promise<string[]> {
  await onPath(folder, () => mkdir(folder, { recursive: true }));
  const files = named.map(([name, bytes]) => [join(folder, name), bytes] as const);
  await writeTogether(files);
  return files.map(([path]) => path);
}

function endedError(reply: DraftReply): IronError {
  if (reply.error !== null) return errorFromBody(reply.error);
  return new IronError('E_NOTHING_TO_DO', `${draftWords(reply)} is ${reply.state} already`, {
    hint: 'nothing was signed',
  });
}

/** What became of it: it waits on, or it was the last signature and the whole is published. */
async function outcome(
  context: CommandContext,
  reach: Reach,
  reply: DraftReply,
  changes: readonly TrustChange[],
): Promise<CommandResult> {
  // Whoever handed in the list and the role that lists it may have been faster than the last signer.
  if (reply.submission === null)
    return { data: { ...draftData(reply), changes, published: null }, text: draftText(reply) };
  const first = await submission(context, reach, reply.submission);
  const { state, error, published } = await settled(context, reach, first);
  if (error !== undefined) throw errorFromBody(error);
  return {
    data: { ...draftData(reply), state, changes, published: published ?? null },
    text:
      published === undefined
        ? `${draftWords(reply)} has all of its signatures, and waits for publication`
        : `${draftWords(reply)} has all of its signatures and is published, in snapshot ${published.snapshot}`,
    ...(state === 'published' ? {} : { exit: 75 }),
  };
}
