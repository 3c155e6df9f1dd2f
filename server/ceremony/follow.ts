/** The end of every command that makes a next root or next targets: shown, asked, signed, written. */

import type { CommandContext } from '../../shared/cli/command.ts';
import { keyIdentity } from '../../shared/crypto/key.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { formatInstant } from '../../shared/time.ts';
import type { RoleFile } from '../../shared/tuf/diff/trust-diff.ts';
import { keyIdentities, verifyThreshold } from '../../shared/tuf/role.ts';
import type { Root } from '../../shared/tuf/root.ts';
import { isComplete } from '../../shared/tuf/standing.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { writeSigned } from './files.ts';
import { confirmSigning, nextStep, showChanges, signAndCount, unsignedFile } from './signing.ts';

export interface Following {
  /** The file that it follows. */
  readonly before: RoleFile;
  readonly tree: JsonObject;
  /** Says whose signatures count; for a root, the one before it. */
  readonly root: Root | undefined;
  /** For targets: the root that is followed, whose keys may sign as well. */
  readonly also?: Root | undefined;
  readonly signers: readonly Signer[];
  readonly out: string;
}

/** What was written, for `--json`, and the next step in words. */
export async function follow(context: CommandContext, it: Following) {
  const { before, tree, root, signers, out } = it;
  const file = unsignedFile(tree, before.type);
  const changes = showChanges(context.ui, file, before, systemClock());
  await confirmSigning(context, `${file.type} ${file.file.version}`, signers);
  const signed = await signAndCount(file, root, signers, it.also);
  await writeSigned(out, signed.bytes);
  return {
    data: {
      file: out,
      version: file.file.version,
      expires: formatInstant(file.file.expires),
      changes,
      signatures: signed.standings,
      complete: signed.standings.length > 0 && isComplete(signed.standings),
    },
    text: nextStep(out, signed),
    parsed: file,
  };
}

/** Of the signers those who may sign what the root names as `role`, in either of two roots. */
export function signersFor(
  signers: readonly Signer[],
  role: 'root' | 'targets',
  ...roots: readonly Root[]
): Signer[] {
  const counting = new Set(
    roots.flatMap((root) => [...keyIdentities(root.keys, root.roles[role])]),
  );
  return signers.filter(({ key }) => counting.has(keyIdentity(key)));
}

/** What is built upon is what the operators signed, and not a file that somebody put there. */
export function verifyBase(targets: Targets, root: Root): void {
  const name = `targets ${targets.version}`;
  verifyThreshold(crypto, targets.envelope, root.keys, root.roles.targets, name);
}
