/** Signing a file: what it changes is shown, then it is signed, then the signatures are counted. */

import type { CommandContext, Ui } from '../../shared/cli/command.ts';
import { confirm } from '../../shared/cli/confirm.ts';
import { keyIdentity } from '../../shared/crypto/key.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { IronError } from '../../shared/errors.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import type { Instant } from '../../shared/time.ts';
import { addSignatures, formatMetadata, idsIn } from '../../shared/tuf/build.ts';
import type { TrustChange } from '../../shared/tuf/diff/change.ts';
import {
  diffText,
  parseRoleFile,
  type RoleFile,
  trustDiff,
} from '../../shared/tuf/diff/trust-diff.ts';
import { keyId, shortKeyId } from '../../shared/tuf/key.ts';
import { keyIdentities } from '../../shared/tuf/role.ts';
import type { Root } from '../../shared/tuf/root.ts';
import { isComplete, type Standing, standingsOf, standingText } from '../../shared/tuf/standing.ts';

export interface Signed {
  readonly bytes: Uint8Array;
  readonly standings: readonly Standing[];
}

/**
 * Adds signatures and counts them. `root` is the one that says whose count: the one before, for a
 * root file. Keys of `also`, the root that targets follow, may sign too: targets that hold under
 * either root leave no instant in which a reader is refused. Throws `E_NOT_AUTHORISED` when a key
 * would sign for nothing.
 */
export async function signAndCount(
  file: RoleFile,
  root: Root | undefined,
  signers: readonly Signer[],
  also?: Root,
): Promise<Signed> {
  refuseUselessKeys(file, root, signers, also);
  // Under the ids by which those who count call the keys (TAP 12).
  const own = file.type === 'root' ? [file.file.keys] : [];
  const tables = [...own, ...[root, also].flatMap((one) => (one === undefined ? [] : [one.keys]))];
  const bytes = await addSignatures(crypto, file.file.envelope, signers, idsIn(crypto, ...tables));
  return { bytes, standings: standingsOf(crypto, parseRoleFile(bytes, file.type), root) };
}

/** A tree that nobody signed yet, as a file that can be shown and signed. */
export function unsignedFile(tree: JsonObject, name: string): RoleFile {
  return parseRoleFile(formatMetadata(tree, new Map()), name);
}

/** Says what a signature on `file` would change, before it is made. */
export function showChanges(
  ui: Ui,
  file: RoleFile,
  against: RoleFile | undefined,
  now: Instant,
): TrustChange[] {
  const changes = trustDiff(crypto, against, file, now);
  const than = against === undefined ? '' : `, against version ${against.file.version},`;
  ui.stage(`${file.type} version ${file.file.version}${than} says:\n${diffText(changes)}`);
  if (against === undefined && file.file.version > 1)
    ui.warn('no earlier version was given with --against: all that it says is shown as new');
  return changes;
}

/** Asks whether what was shown is what the keys at hand are to sign. */
export async function confirmSigning(
  context: CommandContext,
  what: string,
  signers: readonly Signer[],
): Promise<void> {
  if (signers.length === 0) return;
  const keys = signers.map(({ key }) => shortKeyId(keyId(crypto, key))).join(', ');
  await confirm(context, `sign ${what} with ${keys}?`);
}

/** A signature that counts for nothing tells its maker that the wrong key, or file, is at hand. */
function refuseUselessKeys(
  file: RoleFile,
  root: Root | undefined,
  signers: readonly Signer[],
  also: Root | undefined,
): void {
  const counting = new Set<string>();
  if (file.type === 'root') {
    for (const key of keyIdentities(file.file.keys, file.file.roles.root)) counting.add(key);
    if (root !== undefined)
      for (const key of keyIdentities(root.keys, root.roles.root)) counting.add(key);
  } else if (root !== undefined) {
    for (const { keys, roles } of [root, also ?? root])
      for (const key of keyIdentities(keys, roles.targets)) counting.add(key);
  } else {
    return; // Whose signatures count, only a root can say.
  }
  for (const { key } of signers) {
    if (counting.has(keyIdentity(key))) continue;
    throw new IronError(
      'E_NOT_AUTHORISED',
      `the key ${shortKeyId(keyId(crypto, key))} counts for nothing on this ${file.type} file`,
      {
        why:
          file.type === 'root'
            ? 'it is no root key of this root, nor of the one before it'
            : `root ${root?.version} does not list it for targets`,
        hint: 'nothing was written; check which key, and which file, is meant',
      },
    );
  }
}

/** What is still to do, for the last lines of a command. */
export function nextStep(path: string, { standings }: Signed): string {
  if (standings.length === 0)
    return `${path} was written; give --root to see whether its signatures suffice`;
  const counted = standingText(standings);
  return isComplete(standings)
    ? `${counted}\n${path} is complete; \`ironport-repo submit ${path}\` publishes it`
    : `${counted}\n${path} needs more: \`ironport-repo sign ${path} --key KEY\` on another signer's machine`;
}
