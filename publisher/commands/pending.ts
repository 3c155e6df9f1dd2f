/** `pending`: the vendor's changes that wait at the service for signatures. */

import {
  type DraftReply,
  demandSignedDigits,
  draftId,
  draftPart,
  lacking,
  shortDraftId,
} from '../../shared/api/pending.ts';
import { decodeFile, errorFromBody } from '../../shared/api/upload.ts';
import type { CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { confirm, YES_OPTION } from '../../shared/cli/confirm.ts';
import { table } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { writeFileExclusive } from '../../shared/node/files.ts';
import { shortKeyId } from '../../shared/tuf/key.ts';
import { isBinName } from '../../shared/tuf/nested.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { countOf, countOfDraft, type SignedTogether, waitingText } from '../co-sign.ts';
import { countedSoFar, seePublished } from '../hand-in.ts';
import type { Base } from '../rebase/base.ts';
import {
  apiOf,
  REPOSITORY_OPTION,
  ROOT_OPTION,
  roleWords,
  type Session,
  verifiedBase,
  withSession,
} from '../session.ts';
import { type DraftedFile, type ShownFile, showDraft } from '../show-draft.ts';
import { counted } from '../sign-below.ts';
import { draftNames, MANY, namesOf, signShown } from '../sign-shown.ts';
import { DIR_OPTION, PASSPHRASE_OPTION } from '../signers.ts';
import type { Api } from '../upload/api.ts';
import { bringRoles, findDraft, listDrafts } from '../upload/pending.ts';
import { ask } from '../upload/submission.ts';

const CHANGE = { name: 'change', description: 'its id, or 8 digits or more of it' } as const;
const SIGNED_CHANGE = {
  name: 'change',
  description: 'its id, or 16 digits or more of it',
} as const;
const COMMON = [REPOSITORY_OPTION, DIR_OPTION, ROOT_OPTION, PASSPHRASE_OPTION] as const;

export const pendingList: CommandSpec = {
  name: 'pending list',
  summary: "show the vendor's changes that wait at the service for signatures",
  description:
    'Who signed, how many signatures are missing and until when the change waits, as the service says it. Changes that ended are shown with --all.',
  options: [...COMMON, { flags: '--all', description: 'those that ended, too' }],
  examples: ['ironport pending list --dir acme-second --repository http://127.0.0.1:8080'],
  schema: 'ironport/pending-list/v1',
  run: (context) =>
    withSession(context, async (session) => {
      const all = await listDrafts(await apiOf(session));
      const drafts = context.flag('all') ? all : all.filter(({ state }) => state === 'open');
      return {
        data: { changes: drafts.map(said) },
        text:
          drafts.length === 0
            ? 'no change waits for signatures'
            : table([['CHANGE', 'WHAT', 'SIGNED BY', '', ''], ...drafts.map(row)]),
      };
    }),
};

export const pendingShow: CommandSpec = {
  name: 'pending show',
  summary: 'say what a change that waits would change, and whose signatures it lacks',
  description:
    'Verifies what is published from the pinned root, and compares. With --out the file of one role is written there, to be signed on a machine without a network by `ironport sign`.',
  arguments: [CHANGE],
  options: [...COMMON, { flags: '-o, --out <file>', description: 'file to write it to' }],
  examples: ['ironport pending show 5f0c9a31 --dir acme-second --repository http://127.0.0.1:8080'],
  schema: 'ironport/pending-show/v1',
  run: (context) =>
    withSession(context, async (session) => {
      const { draft, files } = await load(session, await apiOf(session));
      const base = await verifiedBase(session);
      const shown = await showDraft(session, base, files);
      const together = countedTogether(base, session.config.vendor, shown);
      const out = context.text('out');
      const [only, ...others] = files;
      if (out !== undefined && only !== undefined) {
        if (others.length > 0 || isBinName(only.role))
          throw new IronError(
            'E_USAGE',
            'several roles are signed where the service can be asked',
            {
              hint: 'nothing was written; use `ironport pending sign`',
            },
          );
        await writeFileExclusive(out, only.bytes);
      }
      return {
        data: {
          ...said(draft),
          changes: shown.flatMap(({ changes }) => changes),
          file: out ?? null,
        },
        text: [
          ...(files.length > MANY
            ? [draftNames(files)]
            : files.map(({ role, file }) => roleWords(role, file))),
          waitingText({ file: null, draft }, countOf(together)),
        ].join('\n'),
      };
    }),
};

export const pendingSign: CommandSpec = {
  name: 'pending sign',
  summary: 'show a change that waits, sign it at home, and hand the signature in',
  description:
    'As `pending show`, then asks, signs with the TUF keys of this folder, and brings the signature to the service. With the last one the role is handed in, and the own client looks whether it is published.',
  arguments: [SIGNED_CHANGE],
  options: [...COMMON, YES_OPTION],
  examples: [
    'ironport pending sign 5f0c9a317d2be846 --dir acme-second --repository http://127.0.0.1:8080',
  ],
  schema: 'ironport/pending-sign/v1',
  run: (context) => withSession(context, signDraft),
};

async function signDraft(session: Session): Promise<CommandResult> {
  const { config, context } = session;
  const { vendor } = config;
  demandSignedDigits(context.args[0] as string);
  const api = await apiOf(session);
  const { draft, files } = await load(session, api);
  const base = await verifiedBase(session);
  const shown = await showDraft(session, base, files);
  const changes = shown.flatMap(({ changes }) => changes);
  const names = draftNames(files);
  await confirm(context, `sign ${names} (${shortDraftId(draft)})?`);
  const signed = await signShown(session, base, shown);
  const { own, nested } = signed;
  const reply = await bringRoles(api, vendor, own?.bytes, nested);
  if (reply.submission === null) {
    // Others may have signed since it was fetched: what the service counts now is said.
    return {
      data: { ...said(reply), changes, published: null },
      text: waitingText({ file: null, draft: reply }, countOfDraft(reply)),
    };
  }
  const first = await ask(api, reply.submission);
  const published = await seePublished(session, api, first, own, nested);
  const { snapshot, timestamp } = published;
  return {
    data: { ...said(reply), state: 'published', changes, published: { snapshot, timestamp } },
    text: `${names} ${files.length === 1 ? 'has all of its' : 'have all of their'} signatures and ${files.length === 1 ? 'is' : 'are'} published, in snapshot ${snapshot}`,
  };
}

function countedTogether(base: Base, vendor: string, files: readonly ShownFile[]): SignedTogether {
  const own = files.find(({ keys }) => keys === undefined);
  return {
    own: own && countedSoFar(base, own.bytes, vendor),
    nested: files.flatMap(({ keys, role, bytes }) =>
      keys === undefined ? [] : [counted(keys, role, bytes)],
    ),
  };
}

interface Loaded {
  readonly draft: DraftReply;
  readonly files: readonly DraftedFile[];
}

/**
 * The draft that the command line names; one that ended is an error that says how. `E_MIX_AND_MATCH`
 * when the service gives another one.
 */
async function load(session: Session, api: Api): Promise<Loaded> {
  const { vendor } = session.config;
  const given = session.context.args[0] as string;
  if (!/^[0-9a-f]{8,32}$/.test(given))
    throw new IronError('E_USAGE', `${JSON.stringify(given)} is no id of a change`);
  const [found, second] = (await listDrafts(api)).filter(({ id }) => id.startsWith(given));
  if (second !== undefined)
    throw new IronError('E_USAGE', `${given} begins several ids; give more of it`);
  if (found === undefined)
    throw new IronError('E_NOT_FOUND', `no change ${given} of ${vendor} waits at the service`, {
      hint: '`ironport pending list` shows those that do',
    });
  const draft = await findDraft(api, found.id);
  const contents = draft.contents ?? [];
  if (draft.state !== 'open' || contents.length === 0) throw endedError(draft);
  const files = draft.files.map(({ role }, i) => {
    const bytes = decodeFile(contents[i] ?? '');
    return { role, bytes, file: parseTargets(bytes, role) };
  });
  // Its name is a digest of what it says: a service that shows another change is found out.
  const parts = files.map(({ role, file }) => draftPart(vendor, role, file.envelope.signedBytes()));
  // What it calls its answer says nothing: the command line named a change, and this must be that one.
  if (draftId(crypto, vendor, parts) !== found.id)
    throw new IronError('E_MIX_AND_MATCH', `the service shows another change than ${found.id}`, {
      hint: 'nothing was signed; ask who runs the repository',
    });
  return { draft: { ...draft, id: found.id }, files };
}

function endedError({ state, error }: DraftReply): IronError {
  if (error !== null) return errorFromBody(error);
  return new IronError('E_NOTHING_TO_DO', `it is ${state} already`, { hint: 'nothing was signed' });
}

function row(draft: DraftReply): string[] {
  const isOpen = draft.state === 'open';
  return [
    shortDraftId(draft),
    namesOf(draft.files, ', '),
    Array.from(new Set(draft.files.flatMap(({ signed_by }) => signed_by)), shortKeyId).join(' ') ||
      'nobody',
    isOpen ? `lacks ${lacking(draft)}` : draft.state,
    isOpen ? `until ${draft.until}` : (draft.error?.message ?? ''),
  ];
}

/** A draft for `--json`, without its bytes. */
function said(draft: DraftReply): object {
  const { contents: _contents, ...rest } = draft;
  return { ...rest, lacking: lacking(draft) };
}
