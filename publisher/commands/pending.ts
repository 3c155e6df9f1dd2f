/** `pending`: the vendor's changes that wait at the service for signatures. */

import { type DraftReply, lacking } from '../../shared/api/pending.ts';
import { decodeFile, errorFromBody } from '../../shared/api/upload.ts';
import type { CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { YES_OPTION } from '../../shared/cli/confirm.ts';
import { table } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { writeFileExclusive } from '../../shared/node/files.ts';
import { shortKeyId } from '../../shared/tuf/key.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import { coSign, demandFollows, demandOwnRole, showRole, waitingText } from '../co-sign.ts';
import { countSignatures, seePublished } from '../hand-in.ts';
import { remember } from '../rebase/floor.ts';
import {
  apiOf,
  REPOSITORY_OPTION,
  ROOT_OPTION,
  roleWords,
  type Session,
  verifiedBase,
  withSession,
} from '../session.ts';
import { DIR_OPTION, PASSPHRASE_OPTION } from '../signers.ts';
import type { Api } from '../upload/api.ts';
import { bringRole, findDraft, listDrafts } from '../upload/pending.ts';
import { ask } from '../upload/submission.ts';

const CHANGE = { name: 'change', description: 'its id, or 8 digits or more of it' } as const;
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
    'Verifies what is published from the pinned root, and compares. With --out the file is written there, to be signed on a machine without a network by `ironport sign`.',
  arguments: [CHANGE],
  options: [...COMMON, { flags: '-o, --out <file>', description: 'file to write it to' }],
  examples: ['ironport pending show 5f0c9a31 --dir acme-second --repository http://127.0.0.1:8080'],
  schema: 'ironport/pending-show/v1',
  run: (context) =>
    withSession(context, async (session) => {
      const { vendor } = session.config;
      const { draft, role, bytes } = await load(session, await apiOf(session));
      const base = await verifiedBase(session);
      demandOwnRole(role, base.role, vendor);
      demandFollows(role, base, vendor);
      const changes = showRole(context, base.role, role);
      const { have, need } = countSignatures(base, bytes, vendor);
      const out = context.text('out');
      if (out !== undefined) await writeFileExclusive(out, bytes);
      return {
        data: { ...said(draft), changes, file: out ?? null },
        text: [roleWords(vendor, role), waitingText({ file: '', draft }, { have, need })].join(
          '\n',
        ),
      };
    }),
};

export const pendingSign: CommandSpec = {
  name: 'pending sign',
  summary: 'show a change that waits, sign it at home, and hand the signature in',
  description:
    'As `pending show`, then asks, signs with the TUF keys of this folder, and brings the signature to the service. With the last one the role is handed in, and the own client looks whether it is published.',
  arguments: [CHANGE],
  options: [...COMMON, YES_OPTION],
  examples: ['ironport pending sign 5f0c9a31 --dir acme-second --repository http://127.0.0.1:8080'],
  schema: 'ironport/pending-sign/v1',
  run: (context) => withSession(context, signDraft),
};

async function signDraft(session: Session): Promise<CommandResult> {
  const { dir, config } = session;
  const { vendor } = config;
  const api = await apiOf(session);
  const { role } = await load(session, api);
  const base = await verifiedBase(session);
  const { changes, ...signed } = await coSign(session, base, role);
  await remember(dir, 'lastSigned', signed.bytes);
  const reply = await bringRole(api, vendor, signed.bytes);
  if (reply.submission === null) {
    // Others may have signed since it was fetched: what the service counts now is said.
    const [count] = reply.files[0]?.signatures ?? [];
    return {
      data: { ...said(reply), changes, published: null },
      text: waitingText({ file: '', draft: reply }, count ?? signed),
    };
  }
  const first = await ask(api, reply.submission);
  const published = await seePublished(session, api, first, signed);
  const { snapshot, timestamp } = published;
  return {
    data: { ...said(reply), state: 'published', changes, published: { snapshot, timestamp } },
    text: `${vendor} ${role.version} has all of its signatures and is published, in snapshot ${snapshot}`,
  };
}

interface Loaded {
  readonly draft: DraftReply;
  readonly role: Targets;
  readonly bytes: Uint8Array;
}

/** The draft that the command line names; one that ended is an error that says how. */
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
  const [contents] = draft.contents ?? [];
  if (draft.state !== 'open' || contents === undefined) throw endedError(draft);
  const bytes = decodeFile(contents);
  return { draft, role: parseTargets(bytes, vendor), bytes };
}

function endedError({ state, error }: DraftReply): IronError {
  if (error !== null) return errorFromBody(error);
  return new IronError('E_NOTHING_TO_DO', `it is ${state} already`, { hint: 'nothing was signed' });
}

function row(draft: DraftReply): string[] {
  const [file] = draft.files;
  const isOpen = draft.state === 'open';
  return [
    draft.id.slice(0, 12),
    `${file?.role} ${file?.version}`,
    file?.signed_by.map(shortKeyId).join(' ') || 'nobody',
    isOpen ? `lacks ${lacking(draft)}` : draft.state,
    isOpen ? `until ${draft.until}` : (draft.error?.message ?? ''),
  ];
}

/** A draft for `--json`, without its bytes. */
function said(draft: DraftReply): object {
  const { contents: _contents, ...rest } = draft;
  return { ...rest, lacking: lacking(draft) };
}
