/** What a draft waits for: whose signatures each of its files needs, and bringing them together. */

import type { DraftFile } from '../../../shared/api/pending.ts';
import type { Crypto } from '../../../shared/crypto/crypto.ts';
import { keyIdentity } from '../../../shared/crypto/key.ts';
import { IronError } from '../../../shared/errors.ts';
import { formatInstant, type Instant } from '../../../shared/time.ts';
import { formatMetadata } from '../../../shared/tuf/build.ts';
import type { Envelope } from '../../../shared/tuf/envelope.ts';
import { shortKeyId, signatureBytes, signedMessage } from '../../../shared/tuf/key.ts';
import { type Demand, signedBy, standingOf } from '../../../shared/tuf/standing.ts';

/** One file of a draft. */
export interface Wanted {
  /** As a reply names it. */
  readonly role: string;
  readonly version: number;
  readonly expires: Instant;
  readonly bytes: Uint8Array;
  /** Undefined for a file that goes along as it is. */
  readonly envelope: Envelope | undefined;
  readonly demands: readonly Demand[];
  /** Keys that may sign besides: those of the root that is followed. */
  readonly also: readonly Demand[];
  /** The demand by keys that are published: a signature by one of them begins a draft. */
  readonly standing: Demand | undefined;
}

/**
 * The file that is held, with the signatures of the one that was brought added; of each key one.
 * `E_NOT_AUTHORISED` for a key that counts for nothing here, `E_SIGNATURE` for a signature over
 * something else: nobody fills a draft with what will never count.
 */
export function withSignatures(
  crypto: Crypto,
  held: Envelope | undefined,
  brought: Wanted,
): Uint8Array {
  const { envelope, demands, also, role, version } = brought;
  if (envelope === undefined) return brought.bytes;
  const keys = new Map(
    [...also, ...demands].flatMap(({ keys, role }) =>
      role.keyids.map((keyid) => [keyid, keys.get(keyid)?.publicKey] as const),
    ),
  );
  const signatures = new Map(held?.signatures);
  const signers = new Set<string>();
  for (const keyid of signatures.keys()) {
    const key = keys.get(keyid);
    if (key !== undefined) signers.add(keyIdentity(key));
  }
  for (const [keyid, text] of envelope.signatures) {
    const key = keys.get(keyid);
    if (key === undefined) {
      throw new IronError(
        'E_NOT_AUTHORISED',
        `the key ${shortKeyId(keyid)} counts for nothing on ${role} ${version}`,
        {
          why: 'neither what is published nor the change itself lists it for this role',
          hint: 'nothing was changed; check which key, and which file, is meant',
        },
      );
    }
    // A second id of a key that signed, and the same signature again, bring nothing.
    if (signers.has(keyIdentity(key))) continue;
    const signature = signatureBytes(text);
    const message = signedMessage(crypto, key, envelope.signedBytes());
    if (signature === undefined || !crypto.verify(key, message, signature)) {
      throw new IronError(
        'E_SIGNATURE',
        `a signature by ${shortKeyId(keyid)} is not over this ${role} ${version}`,
        {
          why: 'it was made over another file, or altered on the way',
          hint: 'nothing was changed; sign the change that is shown here',
        },
      );
    }
    signatures.set(keyid, text);
    signers.add(keyIdentity(key));
  }
  return formatMetadata(envelope.tree, signatures);
}

/** What is said of a file; `envelope` has the signatures that are there. */
export function aboutFile(
  crypto: Crypto,
  { role, version, expires, demands, also }: Wanted,
  envelope: Envelope | undefined,
): DraftFile {
  const all = envelope === undefined ? [] : [...demands, ...also];
  const signed = all.flatMap((demand) => signedBy(crypto, envelope as Envelope, demand));
  return {
    role,
    version,
    expires: formatInstant(expires),
    signatures:
      envelope === undefined ? [] : demands.map((demand) => standingOf(crypto, envelope, demand)),
    signed_by: [...new Set(signed)],
  };
}

/** A published key that signed one of the files: only such a one may begin a draft. */
export function openerOf(crypto: Crypto, files: readonly Wanted[]): string | undefined {
  for (const { envelope, standing } of files) {
    if (envelope === undefined || standing === undefined) continue;
    const [keyid] = signedBy(crypto, envelope, standing);
    const key = keyid === undefined ? undefined : standing.keys.get(keyid)?.publicKey;
    if (key !== undefined) return keyIdentity(key);
  }
  return undefined;
}
