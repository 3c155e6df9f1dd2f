/** `submit`: hands files that operators signed to the repository. */

import { type DraftReply, isListAlone } from '../../shared/api/pending.ts';
import { isResignedRole } from '../../shared/api/resigned-role.ts';
import { errorFromBody, type SubmissionReply } from '../../shared/api/upload.ts';
import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { CEREMONY_LIMITS, METADATA_LIMITS } from '../../shared/limits.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { isListFile } from '../../shared/revocation/signed-list.ts';
import { parseEnvelope } from '../../shared/tuf/envelope.ts';
import { isComplete, standingText } from '../../shared/tuf/standing.ts';
import {
  type CeremonyFiles,
  filesOf,
  isCeremonyFile,
  parseCeremonyFile,
} from '../ceremony/ceremony-file.ts';
import { readAs } from '../ceremony/files.ts';
import { ceremonyStanding } from '../ceremony/round.ts';
import { PASSPHRASE_OPTION } from '../ceremony/signers.ts';
import { DIR_OPTION, homeOf } from '../config.ts';
import type { Reach } from './ask-service.ts';
import { bringDraft, draftData, draftText } from './drafts.ts';
import { handToService, publishHere, runningService } from './hand-in.ts';

export const submit: CommandSpec = {
  name: 'submit',
  summary: 'hand signed root or targets files, or revocations, to the repository',
  description:
    "Gives the files to the service that runs over the folder, or to the one at --url; when none runs, takes the writer's lock and publishes them itself. The signatures decide, not who calls. A change that lacks signatures waits at the service for them (`pending`), a list of revocations that is handed in alone likewise, and the command ends with exit 75. Only here, on the machine itself, a first root is taken.",
  arguments: [
    {
      name: 'file',
      description: 'signed root or targets files, or the file of a ceremony',
      variadic: true,
    },
  ],
  options: [
    DIR_OPTION,
    { flags: '--url <url>', description: 'the service, when it runs elsewhere' },
    PASSPHRASE_OPTION,
  ],
  examples: [
    'ironport-repo submit 1.root.json 1.targets.json --dir repo-data',
    'ironport-repo submit 7.targets.json --url https://drivers.example',
  ],
  schema: 'ironport-repo/submit/v1',
  async run(context) {
    const files: Uint8Array[] = [];
    for (const path of context.rest) files.push(...(await loadFiles(path)));
    const url = context.text('url');
    const home = homeOf(context);
    let reply: SubmissionReply | undefined;
    let by = 'service';
    const reach = url === undefined ? await runningService(home) : { url, token: undefined };
    if (isListAlone(files)) return await leaveList(context, reach, home, files);
    if (reach !== undefined) {
      try {
        reply = await handToService(context, reach, files, url === undefined);
      } catch (error) {
        if (!isIronError(error, 'E_THRESHOLD')) throw error;
        return await leavePending(context, reach, files, error);
      }
    }
    if (reply === undefined) {
      by = 'this command';
      reply = await publishHere(context, home, files);
    }
    for (const { check, ok, detail } of reply.verdicts) {
      if (ok) context.ui.stage(`${check}: ${detail}`);
      else context.ui.warn(`${check}: ${detail}`);
    }
    if (reply.error !== undefined) throw errorFromBody(reply.error);
    return {
      data: { ...reply, by },
      text:
        reply.published === undefined
          ? `${reply.role} ${reply.version} waits for publication as ${reply.id}`
          : `${reply.role} ${reply.version} published, in snapshot ${reply.published.snapshot}`,
      ...(reply.state === 'published' ? {} : { exit: 75 }),
    };
  },
};

/**
 * A list of revocations alone: what it lacks is signatures of the team, or the role that lists it, and it
 * waits for either.
 */
async function leaveList(
  context: CommandContext,
  reach: Reach | undefined,
  home: string,
  files: readonly Uint8Array[],
): Promise<CommandResult> {
  if (reach !== undefined) return waitingResult(await bringDraft(context, reach, files));
  throw new IronError('E_NOT_FOUND', `no service runs over ${home}, and a list waits at one`, {
    why: 'by itself it cannot be published: the role that lists it names its digest',
    hint: 'nothing was changed; start the service, give --url, or hand in the list together with the role: `ironport-repo revocations renew`',
  });
}

/** A signed file, or all that is in the file of a ceremony. */
async function loadFiles(path: string): Promise<Uint8Array[]> {
  const bytes = await readFileCapped(path, CEREMONY_LIMITS.file);
  const ceremony = readAs(path, 'a signed file', () =>
    isCeremonyFile(bytes) ? parseCeremonyFile(bytes, path) : undefined,
  );
  if (ceremony !== undefined) {
    readAs(path, 'the file of a ceremony', () => demandWhole(path, ceremony));
    return filesOf(ceremony);
  }
  if (bytes.length > METADATA_LIMITS.targets)
    throw new IronError('E_TOO_LARGE', `${path} has more than ${METADATA_LIMITS.targets} bytes`);
  readAs(path, 'a signed root, targets, role or list', () => {
    // What it says is judged by whoever takes it; what is none of these is better known by its name.
    if (!isListFile(bytes) && !isResignedRole(bytes))
      parseEnvelope(bytes, METADATA_LIMITS.targets, path);
  });
  return [bytes];
}

/** A first ceremony cannot wait at the service: what it lacks, its signers bring by handing the file on. */
function demandWhole(path: string, files: CeremonyFiles): void {
  const { root, targets, list, isListed } = ceremonyStanding(files);
  const isSigned = isComplete([...root, ...targets]);
  if (isSigned && (list === undefined || (list.have >= list.need && isListed))) return;
  const lists =
    list === undefined
      ? []
      : [
          `${list.have} of the ${list.need} signatures needed by the security team`,
          ...(isListed ? [] : ['the renewal key did not list it yet']),
        ];
  throw new IronError('E_THRESHOLD', `${path} is not complete`, {
    why: [standingText([...root, ...targets]).replaceAll('\n', '; '), ...lists].join('; '),
    hint: `nothing was handed in; \`ironport-repo ceremony --in ${path} --key KEY\` on the next signer's machine`,
  });
}

/** The change waits at the service for the signatures that it lacks; if not even that, as refused. */
async function leavePending(
  context: CommandContext,
  reach: Reach,
  files: readonly Uint8Array[],
  refused: IronError,
): Promise<CommandResult> {
  try {
    return waitingResult(await bringDraft(context, reach, files));
  } catch (error) {
    // Without a signature that counts there is no draft: then the first refusal says what is wrong.
    if (isIronError(error, 'E_NOT_AUTHORISED', 'E_SIGNATURE', 'E_USAGE')) throw refused;
    throw error;
  }
}

function waitingResult(draft: DraftReply): CommandResult {
  const [first] = draft.files;
  // A list may have been brought before, and be published by now.
  const isPublished = draft.state === 'published';
  return {
    data: {
      id: draft.id,
      state: isPublished ? 'published' : 'pending',
      role: draft.files.map(({ role }) => role).join(' and '),
      version: first?.version ?? 0,
      verdicts: [],
      by: 'service',
      draft: draftData(draft),
    },
    text: draftText(draft),
    ...(isPublished ? {} : { exit: 75 }),
  };
}
