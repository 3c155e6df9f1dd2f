/**
 * A reviewer's decision about one submission: a DSSE envelope over an in-toto statement whose
 * subjects are every file that was handed in, and whose predicate says what was decided. Made for
 * one submission, so that none counts for another one, be it of the same bytes.
 */

import type { Crypto } from '../crypto/crypto.ts';
import type { PublicKey } from '../crypto/key.ts';
import type { Signer } from '../crypto/signer.ts';
import { type ErrorDetails, IronError } from '../errors.ts';
import { jsonObject } from '../json/value.ts';
import { REVIEW_LIMITS } from '../limits.ts';
import { keyId, shortKeyId } from '../tuf/key.ts';
import {
  type Envelope,
  pae,
  parseEnvelope,
  signEnvelope,
  verifyEnvelope,
  writeEnvelope,
} from './dsse.ts';
import { IN_TOTO_PAYLOAD_TYPE, PREDICATE_TYPES } from './identifiers.ts';
import { parseReview } from './predicates.ts';
import { buildStatement, parseStatement, type Statement } from './statement.ts';

/** What is reviewed. */
export interface Reviewed {
  /** The submission's id. */
  readonly submission: string;
  /** The role files and every new target. */
  readonly files: readonly { readonly path: string; readonly sha256: string }[];
}

export interface Decision {
  readonly result: 'approved' | 'rejected';
  /** One line for the vendor; a rejection has one. */
  readonly comment: string | undefined;
}

/** The signed decision. `E_USAGE` for a comment that nobody would read. */
export async function signReview(
  crypto: Crypto,
  { submission, files }: Reviewed,
  { result, comment }: Decision,
  signers: readonly Signer[],
): Promise<Uint8Array> {
  if (!isReason(comment, result)) throw new IronError('E_USAGE', REASON_FORM);
  const predicate = jsonObject([
    ['result', result],
    ['submission', submission],
    ...(comment === undefined ? [] : [['comment', comment] as const]),
  ]);
  const payload = buildStatement({
    subjects: files.map(({ path, sha256 }) => ({ name: path, sha256 })),
    predicateType: PREDICATE_TYPES.review,
    predicate,
  });
  const by = signers.map((signer) => ({ signer, keyid: keyId(crypto, signer.key) }));
  return await signEnvelope(IN_TOTO_PAYLOAD_TYPE, payload, by);
}

/**
 * A decision that others signed, with the signatures of `signers` added: of several reviewers one file goes
 * from one to the next. What it says is held against `reviewed` first, whoever signed it. `E_JSON`,
 * `E_SCHEMA`, `E_TOO_LARGE` on what is none, `E_EVIDENCE` when it is about something else, `E_CONFLICT` when
 * it decides otherwise, `E_NOTHING_TO_DO` when one of the signers signed it already.
 */
export async function coSignReview(
  crypto: Crypto,
  bytes: Uint8Array,
  reviewed: Reviewed,
  wanted: Decision['result'],
  signers: readonly Signer[],
): Promise<Uint8Array> {
  const envelope = parseEnvelope(bytes, 'review', REVIEW_LIMITS.statement);
  const { result } = decisionAbout(envelope, reviewed);
  if (result !== wanted)
    throw new IronError('E_CONFLICT', `what was signed says that it is ${result}`, {
      hint: 'nothing was signed; a decision of another kind is a statement of its own',
    });
  const { payloadType, payload } = envelope;
  const by = signers.map((signer) => ({ signer, keyid: keyId(crypto, signer.key) }));
  const message = pae(payloadType, payload);
  const twice = by.find(({ signer: { key } }) =>
    envelope.signatures.some(({ sig }) => crypto.verify(key, message, sig)),
  );
  if (twice !== undefined)
    throw new IronError('E_NOTHING_TO_DO', `the key ${shortKeyId(twice.keyid)} signed it already`, {
      hint: 'nothing was written; pass it on, or hand it in',
    });
  const added = parseEnvelope(await signEnvelope(payloadType, payload, by));
  const signatures = [...envelope.signatures, ...added.signatures];
  return writeEnvelope({ payloadType, payload, signatures });
}

/** What a statement says of itself, for whoever carries it: nothing of it was verified. */
export function reviewIn(bytes: Uint8Array): Decision & { readonly submission: string } {
  const envelope = parseEnvelope(bytes, 'review', REVIEW_LIMITS.statement);
  const { result, comment, submission } = readDecision(envelope);
  if (submission === undefined || !/^[0-9a-f]{32}$/.test(submission))
    throw refusal('submission', 'the review was made for no submission', {});
  return { result, comment, submission };
}

/** A decision and the distinct keys, of those given, that signed it. */
export interface VerifiedReview extends Decision {
  readonly keys: readonly PublicKey[];
}

/**
 * The decision in `bytes` about `reviewed`, signed by at least one of `reviewers`. `E_JSON`,
 * `E_SCHEMA`, `E_TOO_LARGE` on what is none, `E_NOT_AUTHORISED` when no reviewer signed it,
 * `E_EVIDENCE` when it is about something else.
 */
export function verifyReview(
  crypto: Crypto,
  bytes: Uint8Array,
  reviewed: Reviewed,
  reviewers: readonly PublicKey[],
): VerifiedReview {
  const envelope = parseEnvelope(bytes, 'review', REVIEW_LIMITS.statement);
  // Signed first, read second: nothing in the payload is looked at before somebody vouched for it.
  const keys = signedBy(() => verifyEnvelope(crypto, envelope, reviewers, 1));
  return { ...decisionAbout(envelope, reviewed), keys };
}

/** The decision of a statement, which must be about what is reviewed. `E_EVIDENCE`, `E_SCHEMA`. */
function decisionAbout(envelope: Envelope, { submission, files }: Reviewed): Decision {
  const { result, comment, submission: about, statement } = readDecision(envelope);
  if (about !== submission)
    throw refusal('submission', 'the review was made for another submission', {
      why: about === undefined ? 'it names none' : `it names ${JSON.stringify(about.slice(0, 40))}`,
    });
  // Names are decoration; the digests are what was looked at, all of them and no others. That of
  // the role is among them, and says which path is which bytes.
  const wanted = new Set(files.map(({ sha256 }) => sha256));
  const named = new Set(statement.subjects.map(({ sha256 }) => sha256));
  const missing = [...wanted].find((sha256) => !named.has(sha256));
  if (missing !== undefined || named.size !== wanted.size)
    throw refusal('digests', 'the review was made for other bytes', {
      why:
        missing === undefined
          ? 'it names files that were not handed in'
          : `it does not name the SHA-256 ${missing}`,
    });
  return { result, comment };
}

function readDecision(
  envelope: Envelope,
): Decision & { readonly submission: string | undefined; readonly statement: Statement } {
  const statement = parseStatement(envelope, 'review');
  if (statement.predicateType !== PREDICATE_TYPES.review)
    throw refusal('predicate-type', 'a reviewer signed this, but not as a review', {
      why: `its predicate type is ${JSON.stringify(statement.predicateType.slice(0, 100))}`,
    });
  const { result, comment, submission } = parseReview(statement.predicate);
  if (!isReason(comment, result)) throw statement.predicate.error(REASON_FORM);
  return { result, comment, submission, statement };
}

const REASON_FORM = `a reason is one line of at most ${REVIEW_LIMITS.reason} characters, and a rejection has one`;

/** It is shown to the vendor, on whose terminal it must stay one line of text. */
function isReason(text: string | undefined, result: Decision['result']): boolean {
  if (text === undefined) return result === 'approved';
  const isLine = text.isWellFormed() && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text);
  return isLine && text.trim() !== '' && text.length <= REVIEW_LIMITS.reason;
}

function signedBy(verify: () => PublicKey[]): PublicKey[] {
  try {
    return verify();
  } catch (cause) {
    if (!(cause instanceof IronError) || cause.code !== 'E_SIGNATURE') throw cause;
    throw new IronError('E_NOT_AUTHORISED', 'no reviewer signed this', {
      why: 'none of its signatures is by a key that may review this submission',
      hint: 'nothing was changed; the signed targets name the reviewers, and none of them is a key of the vendor or of the service',
      cause,
    });
  }
}

function refusal(reason: string, message: string, { why }: ErrorDetails): IronError {
  return new IronError('E_EVIDENCE', message, {
    ...(why === undefined ? {} : { why }),
    hint: 'nothing was changed; look at the submission with `ironport-repo review show`, and review that',
    context: { reason },
  });
}
