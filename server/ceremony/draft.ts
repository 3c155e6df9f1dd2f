/** A draft of role files as a signer reads it: each against what it follows, and whose keys count. */

import { collecting, type DraftReply, draftId, operatorParts } from '../../shared/api/pending.ts';
import { decodeFile } from '../../shared/api/upload.ts';
import { IronError } from '../../shared/errors.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { parseRoleFile, type RoleFile } from '../../shared/tuf/diff/trust-diff.ts';
import type { Root } from '../../shared/tuf/root.ts';
import type { StandingTree } from './standing-tree.ts';

/** A file of a draft that people sign. */
export interface DraftPart {
  /** Its place among the files of the draft. */
  readonly at: number;
  readonly file: RoleFile;
  /** What it follows. */
  readonly before: RoleFile;
  /** Says whose signatures count; for a root, the one before it. */
  readonly root: Root;
  /** The root that is followed, whose targets keys may sign as well. */
  readonly also: Root | undefined;
}

export interface ReadDraft {
  readonly parts: readonly DraftPart[];
  /** Every file, in the order of the draft; parts among them. */
  readonly files: readonly Uint8Array[];
  /** How many go along as they are. */
  readonly beside: number;
}

/**
 * The files that the service gave as the draft `reply.id`. `E_HASH` when it is another one: the id that
 * signers tell each other names what is signed.
 */
export function draftFiles(reply: DraftReply): Uint8Array[] {
  const files = (reply.contents ?? []).map(decodeFile);
  if (draftId(crypto, undefined, operatorParts(files)) === reply.id) return files;
  throw new IronError('E_HASH', `the service shows something else as ${reply.id}`, {
    why: 'the id of a change is the digest of what it says',
    hint: 'nothing was signed; tell the other operators: the service may be in strange hands',
  });
}

/** `E_CONFLICT` when it does not follow what stands. */
export function readDraft(files: readonly Uint8Array[], standing: StandingTree): ReadDraft {
  const roles = files.flatMap((bytes, at) =>
    collecting(bytes) === undefined ? [] : [{ at, file: parseRoleFile(bytes, 'file') }],
  );
  roles.sort((a, b) => a.file.file.version - b.file.file.version);
  const parts: DraftPart[] = [];
  let { root } = standing;
  for (const { at, file } of roles) {
    if (file.type !== 'root') continue;
    demandFollows('root', file.file.version, root.version);
    parts.push({ at, file, before: { type: 'root', file: root }, root, also: undefined });
    root = file.file;
  }
  const before = { type: 'targets', file: standing.targets } as const;
  for (const { at, file } of roles) {
    if (file.type !== 'targets') continue;
    demandFollows('targets', file.file.version, standing.targets.version);
    const also = root === standing.root ? undefined : standing.root;
    parts.push({ at, file, before, root, also });
  }
  return { parts, files, beside: files.length - parts.length };
}

function demandFollows(role: string, drafted: number, stands: number): void {
  if (drafted === stands + 1) return;
  throw new IronError(
    'E_CONFLICT',
    `${role} ${drafted} was drafted, and ${role} ${stands} stands`,
    {
      why: `the next one must be ${role} ${stands + 1}`,
      hint: 'nothing was signed; let the change be made again on top of what is published',
      context: { submitted: drafted, current: stands },
    },
  );
}
