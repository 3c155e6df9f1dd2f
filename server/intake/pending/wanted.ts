/** What a draft waits for: whose signatures each of its files needs, and bringing them together. */

import type { DraftFile } from '../../../shared/api/pending.ts';
import { equalBytes } from '../../../shared/bytes.ts';
import type { Crypto } from '../../../shared/crypto/crypto.ts';
import { keyIdentity } from '../../../shared/crypto/key.ts';
import { IronError } from '../../../shared/errors.ts';
import { METADATA_LIMITS } from '../../../shared/limits.ts';
import { isListFile } from '../../../shared/revocation/signed-list.ts';
import { formatInstant, type Instant } from '../../../shared/time.ts';
import { formatMetadata } from '../../../shared/tuf/build.ts';
import { type Envelope, parseEnvelope } from '../../../shared/tuf/envelope.ts';
import { shortKeyId, signatureBytes, signedMessage } from '../../../shared/tuf/key.ts';
import { type Demand, signedBy, standingOf } from '../../../shared/tuf/standing.ts';

/** One file of a draft, whatever form its signatures have. */
export interface Collected {
  /** As a reply names it. */
  readonly role: string;
  readonly version: number;
  /** When nobody would take it any more; undefined for what does not expire, or goes along as it is. */
  readonly expires: Instant | undefined;
  /** A published key that signed it: only such a one may begin a draft. */
  readonly opener: string | undefined;
  /** The one among `held` that says the same, with the signatures of this one added. */
  join(held: readonly Uint8Array[]): Uint8Array;
  /** What is said of it, with the signatures that `bytes` has. */
  about(bytes: Uint8Array): DraftFile;
}

/** A role file, as it was brought. */
export interface Wanted {
  /** As a reply names it. */
  readonly role: string;
  readonly version: number;
  readonly expires: Instant;
  readonly bytes: Uint8Array;
  readonly envelope: Envelope;
  readonly demands: readonly Demand[];
  /** Keys that may sign besides: those of the root that is followed. */
  readonly also: readonly Demand[];
  /** The demand by keys that are published: a signature by one of them begins a draft. */
  readonly standing: Demand | undefined;
}

/** A role file that collects signatures. */
export function collectedRole(crypto: Crypto, wanted: Wanted): Collected {
  const { role, version, expires } = wanted;
  return {
    ...{ role, version, expires },
    opener: openerOf(crypto, wanted),
    join: (held) => withSignatures(crypto, heldOf(wanted, held), wanted),
    about: (bytes) => aboutFile(crypto, wanted, envelopeOf(role, bytes)),
  };
}

/** A file that is complete by itself, and goes along as it is. */
export function besideFile(bytes: Uint8Array, version: number, expires: Instant): Collected {
  const role = 'beside';
  return {
    ...{ role, version, expires: undefined, opener: undefined },
    join: () => bytes,
    about: () => ({
      ...{ role, version, expires: formatInstant(expires) },
      ...{ signatures: [], signed_by: [] },
    }),
  };
}

/** What is held of a file: the one that says the same. Files may be brought in any order. */
function heldOf({ role, envelope }: Wanted, held: readonly Uint8Array[]): Envelope | undefined {
  const said = envelope.signedBytes();
  return held
    .filter((bytes) => !isListFile(bytes))
    .map((bytes) => envelopeOf(role, bytes))
    .find((one) => equalBytes(one.signedBytes(), said));
}

function envelopeOf(role: string, bytes: Uint8Array): Envelope {
  return parseEnvelope(bytes, METADATA_LIMITS.targets, role);
}

/**
 * The file that is held, with the signatures of the one that was brought added; of each key one.
 * `E_NOT_AUTHORISED` for a key that counts for nothing here, `E_SIGNATURE` for a signature over
 * something else: nobody fills a draft with what will never count.
 */
function withSignatures(crypto: Crypto, held: Envelope | undefined, brought: Wanted): Uint8Array {
  const { envelope, demands, also, role, version } = brought;
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

function aboutFile(
  crypto: Crypto,
  { role, version, expires, demands, also }: Wanted,
  envelope: Envelope,
): DraftFile {
  const signed = [...demands, ...also].flatMap((demand) => signedBy(crypto, envelope, demand));
  return {
    role,
    version,
    expires: formatInstant(expires),
    signatures: demands.map((demand) => standingOf(crypto, envelope, demand)),
    signed_by: [...new Set(signed)],
  };
}

function openerOf(crypto: Crypto, { envelope, standing }: Wanted): string | undefined {
  if (standing === undefined) return undefined;
  const [keyid] = signedBy(crypto, envelope, standing);
  const key = keyid === undefined ? undefined : standing.keys.get(keyid)?.publicKey;
  return key && keyIdentity(key);
}
