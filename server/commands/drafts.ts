/** What the commands of `pending` and `submit` have in common: the service's drafts, in words. */

import {
  type DraftReply,
  draftList,
  draftReply,
  lacking,
  shortDraftId,
} from '../../shared/api/pending.ts';
import { decodeFile } from '../../shared/api/upload.ts';
import type { CommandContext, OptionSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { api, revocations } from '../../shared/layout.ts';
import { shortKeyId } from '../../shared/tuf/key.ts';
import { isComplete, standingText } from '../../shared/tuf/standing.ts';
import { homeOf } from '../config.ts';
import { askService, type Reach } from './ask-service.ts';
import { filesBody, runningService } from './hand-in.ts';

export const URL_OPTION: OptionSpec = {
  flags: '--url <url>',
  description: 'the service, when it runs elsewhere',
};

export const DRAFT_ARGUMENT = {
  name: 'change',
  description: 'its id, or 8 digits or more of it',
} as const;

/** What is to be signed is named by more of its id than what is to be looked at. */
export const SIGNED_DRAFT_ARGUMENT = {
  name: 'change',
  description: 'its id, or 16 digits or more of it',
} as const;

/** The service at `--url`, or the one that runs over the folder. `E_NOT_FOUND` when none does. */
export async function reachOf(context: CommandContext): Promise<Reach> {
  const url = context.has('url') ? context.text('url') : undefined;
  if (url !== undefined) return { url, token: undefined };
  const service = await runningService(homeOf(context));
  if (service !== undefined) return service;
  throw new IronError('E_NOT_FOUND', `no service runs over ${homeOf(context)}`, {
    why: 'changes wait for signatures at a service',
    hint: 'start it, or give --url of one that runs elsewhere',
  });
}

export async function listDrafts(context: CommandContext, reach: Reach): Promise<DraftReply[]> {
  const question = { path: api.operatorDrafts, answer: draftList };
  return (await askService(context, reach, question)).drafts;
}

/**
 * One draft with its files, by its id or the beginning of it. `E_NOT_FOUND`, `E_USAGE`; `E_HASH` when
 * the service answers with another one than it was asked for.
 */
export async function findDraft(
  context: CommandContext,
  reach: Reach,
  id: string,
): Promise<DraftReply> {
  const drafts = await listDrafts(context, reach);
  const wanted = resolveDraft(drafts, id).id;
  const path = api.operatorDraft(wanted);
  const found = await askService(context, reach, { path, answer: draftReply });
  if (found.id === wanted) return found;
  throw new IronError(
    'E_HASH',
    `the service answers with ${found.id} where ${wanted} was asked for`,
    {
      hint: 'nothing was signed; tell the other operators: the service may be in strange hands',
    },
  );
}

/** The lists of revocations that wait, whole or not, each under the id that it has by what it says. */
export async function listsThatWait(context: CommandContext, reach: Reach): Promise<Uint8Array[]> {
  const lists: Uint8Array[] = [];
  for (const { id, state, files } of await listDrafts(context, reach)) {
    if (state !== 'open' || !files.some(({ role }) => role === revocations.list)) continue;
    const { contents = [] } = await findDraft(context, reach, id);
    lists.push(...contents.map(decodeFile));
  }
  return lists;
}

/** The one draft whose id begins so. */
export function resolveDraft(drafts: readonly DraftReply[], id: string): DraftReply {
  if (!/^[0-9a-f]{8,32}$/.test(id))
    throw new IronError(
      'E_USAGE',
      `${JSON.stringify(id)} is no id of a change, nor 8 digits of one`,
    );
  const [found, second] = drafts.filter((draft) => draft.id.startsWith(id));
  if (second !== undefined)
    throw new IronError('E_USAGE', `${id} begins several ids; give more of it`);
  if (found !== undefined) return found;
  throw new IronError('E_NOT_FOUND', `no change ${id} waits at the service`, {
    hint: '`pending list` shows those that do',
  });
}

/** Brings files with their signatures; the answer says what is missing still. */
export function bringDraft(
  context: CommandContext,
  reach: Reach,
  files: readonly Uint8Array[],
): Promise<DraftReply> {
  const question = { path: api.operatorDrafts, body: filesBody(files), answer: draftReply };
  return askService(context, reach, { method: 'POST', ...question });
}

/** A draft for `--json`, without its bytes. */
export function draftData(draft: DraftReply): object {
  const { contents: _contents, ...rest } = draft;
  return { ...rest, lacking: lacking(draft) };
}

/** `root 2, targets 5`. */
export function draftWords({ files }: DraftReply): string {
  return files.map(({ role, version }) => `${role} ${version}`).join(', ');
}

/** One row of a list. */
export function draftRow(draft: DraftReply): string[] {
  const missing = lacking(draft);
  return [
    shortDraftId(draft),
    draftWords(draft),
    signersWords(draft),
    draft.state === 'open' ? `lacks ${missing}` : draft.state,
    draft.state === 'open' ? `until ${draft.until}` : (draft.error?.message ?? ''),
  ];
}

function signersWords({ files }: DraftReply): string {
  const keys = new Set(files.flatMap((file) => file.signed_by));
  return keys.size === 0 ? 'nobody' : Array.from(keys, shortKeyId).join(' ');
}

/** How far a draft has come, and what its next step is. */
export function draftText(draft: DraftReply): string {
  if (draft.state === 'published') return `${draftWords(draft)} is published`;
  const counted = draft.files
    .filter(({ signatures }) => signatures.length > 0)
    .map(({ role, version, signatures }) =>
      standingText(signatures).replaceAll(/^/gm, `${role} ${version}: `),
    );
  const isWhole = draft.files.every(({ signatures }) => isComplete(signatures));
  const id = shortDraftId(draft);
  const step = isWhole
    ? `${draftWords(draft)} has all of its signatures`
    : isSignedList(draft)
      ? `${draftWords(draft)} has all signatures of the team, and waits as ${id}, until ${draft.until}, to be listed: \`ironport-repo revocations renew\``
      : `${draftWords(draft)} waits for signatures as ${id}, until ${draft.until}; the others: \`ironport-repo pending sign ${id}\``;
  return [...counted, step].join('\n');
}

/** A list of revocations that the team signed, and that the renewal key must list yet. */
function isSignedList({ files }: DraftReply): boolean {
  const [team] = files.find(({ role }) => role === revocations.list)?.signatures ?? [];
  return team !== undefined && isComplete([team]);
}
