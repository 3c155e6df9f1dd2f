/**
 * A list of revocations as it travels: a DSSE envelope over an in-toto statement, signed by the
 * security team's threshold. Whoever lists or carries it can leave it out, and can change nothing.
 */

import { equalBytes, toHex } from '../bytes.ts';
import type { Crypto } from '../crypto/crypto.ts';
import type { PublicKey } from '../crypto/key.ts';
import { asIronError, type ErrorDetails, IronError, isIronError } from '../errors.ts';
import {
  type Envelope,
  type EnvelopeSignature,
  parseEnvelope,
  verifyEnvelope,
  writeEnvelope,
} from '../evidence/dsse.ts';
import { IN_TOTO_PAYLOAD_TYPE, PREDICATE_TYPES } from '../evidence/identifiers.ts';
import { buildStatement, parseStatement } from '../evidence/statement.ts';
import { parseJson } from '../json/read.ts';
import { isJsonObject } from '../json/value.ts';
import { METADATA_LIMITS, REVOCATION_LIMITS } from '../limits.ts';
import { type RevocationTrust, revocationTrustDigest } from '../tuf/revocation-trust.ts';
import type { RevocationFloors } from './floors.ts';
import { parseRevocationList, type RevocationList, revocationPredicate } from './list.ts';

/** `context.reason` of `E_REVOCATIONS` and, for the last four, of `E_ROLLBACK`. */
export type ListReason =
  /** The bytes are no list, or a list that is not in its one form. */
  | 'unreadable'
  /** Signed by nobody of the team. */
  | 'signer'
  /** Signed by too few of it. */
  | 'threshold'
  | 'payload-type'
  | 'predicate-type'
  /** Made under other keys, another threshold or another epoch than the targets name now. */
  | 'subject'
  | 'epoch'
  /** Another list of a version that was seen already. */
  | 'disagree'
  /** An older list than one that was seen. */
  | 'older'
  /** A newer list that takes back a floor. */
  | 'floor-lowered'
  /** The operators went back to an epoch before one that was seen. */
  | 'older-epoch';

export interface VerifiedList {
  readonly list: RevocationList;
  /** SHA-256 of the payload: of what is said, whoever signed it. */
  readonly sha256: string;
  /** The distinct keys of the team that signed. */
  readonly keys: readonly PublicKey[];
}

/** The payload of `list` under `trust`. Its one subject is that trust. */
export function listPayload(
  crypto: Crypto,
  list: RevocationList,
  trust: RevocationTrust,
): Uint8Array {
  return buildStatement({
    subjects: [{ name: `epoch ${trust.epoch}`, sha256: revocationTrustDigest(crypto, trust) }],
    predicateType: PREDICATE_TYPES.revocation,
    predicate: revocationPredicate(list),
  });
}

/** Whether a file claims to be an envelope, as lists are, and not metadata. `E_JSON`. */
export function isListFile(bytes: Uint8Array): boolean {
  const value = parseJson(bytes, {
    length: Math.max(REVOCATION_LIMITS.list, METADATA_LIMITS.targets),
  });
  return isJsonObject(value) && value.payloadType !== undefined;
}

/** Reads what an envelope says, without a word about its signatures. `E_REVOCATIONS`. */
export function readList(bytes: Uint8Array): {
  readonly envelope: Envelope;
  readonly list: RevocationList;
  readonly subject: string | undefined;
} {
  const envelope = reading('unreadable', 'it is not a DSSE envelope', () =>
    parseEnvelope(bytes, 'revocations', REVOCATION_LIMITS.list),
  );
  return { envelope, ...readPayload(envelope) };
}

function readPayload(envelope: Envelope): {
  readonly list: RevocationList;
  readonly subject: string | undefined;
} {
  // DSSE protocol.md: the payload type is authenticated for exactly this comparison.
  if (envelope.payloadType !== IN_TOTO_PAYLOAD_TYPE)
    throw refuseList('payload-type', 'it is no in-toto statement');
  const statement = reading('unreadable', 'it is no in-toto statement', () =>
    parseStatement(envelope, 'revocations'),
  );
  // in-toto validation.md: the predicate type decides what a predicate means.
  if (statement.predicateType !== PREDICATE_TYPES.revocation)
    throw refuseList('predicate-type', 'the team signed this, but not as a list of revocations');
  const list = reading('unreadable', 'its entries are not of the form', () =>
    parseRevocationList(statement.predicate),
  );
  const [subject, ...others] = statement.subjects;
  if (others.length > 0) throw refuseList('subject', 'it has more than one subject');
  return { list, subject: subject?.sha256 };
}

/**
 * The list in `bytes`, signed by a threshold of `trust`'s keys and made under that trust, and not
 * behind what was seen `before`. `E_REVOCATIONS`, `E_ROLLBACK`.
 */
export function verifyList(
  crypto: Crypto,
  bytes: Uint8Array,
  trust: RevocationTrust,
  before: RevocationFloors | undefined,
): VerifiedList {
  const envelope = reading('unreadable', 'it is not a DSSE envelope', () =>
    parseEnvelope(bytes, 'revocations', REVOCATION_LIMITS.list),
  );
  // Signed first, read second: nothing in the payload is looked at before enough vouched for it.
  const keys = signers(crypto, envelope, trust);
  return { ...judgeContent(crypto, envelope, trust, before), keys };
}

/**
 * What a list says that may lack signatures still, to be looked at before one signs it: all that
 * `verifyList` asks but who signed. `E_REVOCATIONS`, `E_ROLLBACK`.
 */
export function verifyUnsigned(
  crypto: Crypto,
  bytes: Uint8Array,
  trust: RevocationTrust,
  before: RevocationFloors | undefined,
): Omit<VerifiedList, 'keys'> {
  return judgeContent(crypto, readList(bytes).envelope, trust, before);
}

function judgeContent(
  crypto: Crypto,
  envelope: Envelope,
  trust: RevocationTrust,
  before: RevocationFloors | undefined,
): Omit<VerifiedList, 'keys'> {
  const { list, subject } = readPayload(envelope);
  if (subject !== revocationTrustDigest(crypto, trust)) {
    throw refuseList('subject', 'it was made under other keys or another threshold', {
      why: 'it names the keys for which it was signed, and they are not those in the targets',
    });
  }
  if (list.epoch !== trust.epoch)
    throw refuseList('epoch', `it is of epoch ${list.epoch}, and the targets name ${trust.epoch}`);
  // One content, one form: two forms of one version would be two lists.
  if (!equalBytes(envelope.payload, listPayload(crypto, list, trust)))
    throw refuseList('unreadable', 'it is not written in its one form');
  const sha256 = toHex(crypto.sha256(envelope.payload));
  if (before !== undefined) refuseBehind(list, sha256, before);
  return { list, sha256 };
}

function signers(crypto: Crypto, envelope: Envelope, trust: RevocationTrust): PublicKey[] {
  try {
    return verifyEnvelope(crypto, envelope, trust.keys, trust.threshold);
  } catch (cause) {
    const error = asIronError(cause);
    const details = { why: error.why ?? error.message, cause };
    if (error.code === 'E_SIGNATURE')
      throw refuseList('signer', 'no key of the security team signed it', details);
    if (error.code === 'E_THRESHOLD')
      throw refuseList('threshold', 'too few of the security team signed it', details);
    if (error.code === 'E_TOO_LARGE')
      throw refuseList('unreadable', 'it has more signatures than are worth trying', details);
    throw cause;
  }
}

/** Epochs, versions and floors only rise, for whoever saw a higher one. */
function refuseBehind(list: RevocationList, sha256: string, before: RevocationFloors): void {
  if (list.epoch < before.epoch)
    throw back('older-epoch', `revocations went back from epoch ${before.epoch} to ${list.epoch}`);
  // The operators replaced the team: what the old one said no longer binds the new one.
  if (list.epoch > before.epoch) return;
  if (list.version < before.version)
    throw back('older', `revocations went back from list ${before.version} to ${list.version}`);
  if (list.version === before.version && sha256 !== before.sha256) {
    throw refuseList('disagree', `there are two lists of version ${list.version}`, {
      why: `this machine saw one with the SHA-256 ${before.sha256}, and was offered ${sha256}`,
    });
  }
  for (const [component, floor] of before.generations) {
    const now = list.floors.get(component)?.generation ?? 0;
    if (now < floor)
      throw back('floor-lowered', `the floor of ${component} went back from ${floor} to ${now}`);
  }
}

/** What a host remembers of a list. */
export function floorsOf({
  list,
  sha256,
}: Pick<VerifiedList, 'list' | 'sha256'>): RevocationFloors {
  const generations = new Map([...list.floors].map(([name, floor]) => [name, floor.generation]));
  return { epoch: list.epoch, version: list.version, sha256, generations, vendors: new Map() };
}

/** How many of the team signed a list that was made under this very trust. */
export function listStanding(crypto: Crypto, bytes: Uint8Array, trust: RevocationTrust): number {
  if (readList(bytes).subject !== revocationTrustDigest(crypto, trust)) return 0;
  return listSigners(crypto, bytes, trust).length;
}

/** The distinct keys of the team that signed, be they too few. `E_REVOCATIONS`, `E_TOO_LARGE`. */
export function listSigners(
  crypto: Crypto,
  bytes: Uint8Array,
  trust: RevocationTrust,
): PublicKey[] {
  const { envelope } = readList(bytes);
  try {
    return verifyEnvelope(crypto, envelope, trust.keys, 1);
  } catch (error) {
    if (isIronError(error, 'E_SIGNATURE')) return [];
    throw error;
  }
}

/** A list as it travels. `E_TOO_LARGE` for one that no host would read. */
export function writeList(
  payload: Uint8Array,
  signatures: readonly EnvelopeSignature[],
): Uint8Array {
  const bytes = writeEnvelope({ payloadType: IN_TOTO_PAYLOAD_TYPE, payload, signatures });
  if (bytes.length <= REVOCATION_LIMITS.list) return bytes;
  throw new IronError('E_TOO_LARGE', `the list would have ${bytes.length} bytes`, {
    why: `hosts read at most ${REVOCATION_LIMITS.list}; one floor does the work of many digests`,
  });
}

function back(reason: ListReason, message: string): IronError {
  return new IronError('E_ROLLBACK', message, {
    why: 'within an epoch, revocations are never taken back; after a theft of the keys that sign them, operators declare a new one (`ironport-repo revocations init --new-epoch`)',
    hint: 'nothing was changed; try another mirror, and tell who runs the repository',
    context: { role: 'revocations', reason },
  });
}

export function refuseList(
  reason: ListReason,
  message: string,
  details: ErrorDetails = {},
): IronError {
  return new IronError('E_REVOCATIONS', `the list of revocations is refused: ${message}`, {
    hint: 'nothing was changed; try another mirror, and tell who runs the repository',
    ...details,
    context: { reason, ...details.context },
  });
}

function reading<T>(reason: ListReason, message: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const error = asIronError(cause);
    if (error.code === 'E_INTERNAL' || error.code === 'E_REVOCATIONS') throw cause;
    throw refuseList(reason, message, { why: error.message, cause });
  }
}
