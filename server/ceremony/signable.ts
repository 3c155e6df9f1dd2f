/** A change that waits, as one who may sign it takes it up: shown, checked for use, signed. */

import type { CommandContext } from '../../shared/cli/command.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { IronError } from '../../shared/errors.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import type { TrustChange } from '../../shared/tuf/diff/change.ts';
import { keyId, shortKeyId } from '../../shared/tuf/key.ts';
import type { DraftPart, ReadDraft } from './draft.ts';
import { signersFor } from './follow.ts';
import { showChanges, signAndCount } from './signing.ts';

export interface Signable {
  /** `root 2 and targets 5`. */
  readonly words: string;
  /** Its files, each under a name for somebody's disk. */
  readonly named: readonly (readonly [name: string, bytes: Uint8Array])[];
  /** Says who gains or loses what. */
  show(context: CommandContext): TrustChange[];
  /** A key that counts on no file tells its holder that the wrong key, or change, is at hand. */
  demandUseful(signers: readonly Signer[]): void;
  /** Every file, those that these keys may sign with their signatures. */
  sign(signers: readonly Signer[]): Promise<Uint8Array[]>;
}

/** A root, targets, or both with what goes along. */
export function signableRoles(draft: ReadDraft): Signable {
  const { parts, files, beside } = draft;
  return {
    words: parts.map(({ file }) => `${file.type} ${file.file.version}`).join(' and '),
    named: files.map((bytes, at) => [nameOf(parts, at), bytes] as const),
    show(context) {
      const changes = parts.flatMap(({ file, before }) =>
        showChanges(context.ui, file, before, systemClock()),
      );
      if (beside > 0)
        context.ui.note(
          `${beside} more goes along that is signed already: a vendor's role with its new keys, or revocations; the service takes it only as what stands, or as who may signs it`,
        );
      return changes;
    },
    demandUseful(signers) {
      const useful = new Set(parts.flatMap((part) => countingOn(part, signers)));
      refuseUseless(
        signers.find((signer) => !useful.has(signer)),
        'neither the root that is published nor the change lists it for what is signed here',
      );
    },
    sign: (signers) => signParts(draft, signers),
  };
}

/** `E_NOT_AUTHORISED` about the signer that is of no use; nothing when there is none. */
export function refuseUseless(useless: Signer | undefined, why: string): void {
  if (useless === undefined) return;
  throw new IronError(
    'E_NOT_AUTHORISED',
    `the key ${shortKeyId(keyId(crypto, useless.key))} counts for nothing on this change`,
    { why, hint: 'nothing was signed; check which key, and which change, is meant' },
  );
}

function nameOf(parts: readonly DraftPart[], at: number): string {
  const part = parts.find((one) => one.at === at);
  return part === undefined
    ? `beside-${at + 1}.json`
    : `${part.file.file.version}.${part.file.type}.json`;
}

/** Those of the signers whose signature counts on this file. */
function countingOn({ file, root, also }: DraftPart, signers: readonly Signer[]): Signer[] {
  const roots = [root, ...(also === undefined ? [] : [also])];
  return file.type === 'root'
    ? signersFor(signers, 'root', root, file.file)
    : signersFor(signers, 'targets', ...roots);
}

async function signParts(
  { parts, files }: ReadDraft,
  signers: readonly Signer[],
): Promise<Uint8Array[]> {
  const signed = new Map<number, Uint8Array>();
  for (const part of parts) {
    const own = countingOn(part, signers);
    if (own.length === 0) continue;
    const { bytes } = await signAndCount(part.file, part.root, own, part.also);
    signed.set(part.at, bytes);
  }
  return files.map((bytes, at) => signed.get(at) ?? bytes);
}
