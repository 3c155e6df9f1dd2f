/**
 * `.ceiling.json`: one DSSE envelope over an in-toto statement whose predicate is the resource
 * ceiling and whose one subject is the artifact. What the predicate says is read elsewhere; here
 * is decided whose it is and which bytes it was made for.
 */

import type { Crypto } from '../crypto/crypto.ts';
import type { PublicKey } from '../crypto/key.ts';
import type { Node } from '../json/decode.ts';
import type { JsonObject } from '../json/value.ts';
import { EVIDENCE_LIMITS } from '../limits.ts';
import { type EnvelopeSigner, parseEnvelope, signEnvelope, verifyEnvelope } from './dsse.ts';
import { IN_TOTO_PAYLOAD_TYPE, PREDICATE_TYPES } from './identifiers.ts';
import { reading, refusal } from './refusal.ts';
import { buildStatement, type Digests, parseStatement, subjectMatches } from './statement.ts';

/** Signs a ceiling for one artifact. */
export function signCeiling(
  subject: Digests & { readonly name?: string },
  ceiling: JsonObject,
  signer: EnvelopeSigner,
): Promise<Uint8Array> {
  const statement = buildStatement({
    subjects: [subject],
    predicateType: PREDICATE_TYPES.ceiling,
    predicate: ceiling,
  });
  return signEnvelope(IN_TOTO_PAYLOAD_TYPE, statement, [signer]);
}

export interface VerifiedCeiling {
  /** The ceiling itself, for the reader of ceilings. */
  readonly predicate: Node;
  /** The distinct keys, of those given, that signed it. */
  readonly keys: readonly PublicKey[];
}

/**
 * The ceiling in `bytes`, signed by one of `keys` and made for the artifact with these digests.
 * Throws `E_CEILING`; `context.reason` says which of the checks refused.
 */
export function verifyCeilingEnvelope(
  crypto: Crypto,
  bytes: Uint8Array,
  measured: Digests,
  keys: readonly PublicKey[],
): VerifiedCeiling {
  const envelope = reading('ceiling', 'unreadable', 'the ceiling is not a DSSE envelope', () =>
    parseEnvelope(bytes, 'ceiling', EVIDENCE_LIMITS.ceiling),
  );
  // Signed first, read second: nothing in the payload is looked at before somebody vouched for it.
  const signed = reading(
    'ceiling',
    'signer',
    'the ceiling is signed by no evidence key of the vendor',
    () => verifyEnvelope(crypto, envelope, keys, 1),
  );
  // DSSE protocol.md: the payload type is authenticated for exactly this comparison.
  if (envelope.payloadType !== IN_TOTO_PAYLOAD_TYPE) {
    throw refusal('ceiling', 'payload-type', 'the ceiling is no in-toto statement', {
      why: `its payload type is not ${IN_TOTO_PAYLOAD_TYPE}`,
    });
  }
  const statement = reading(
    'ceiling',
    'unreadable',
    'the ceiling is not an in-toto statement',
    () => parseStatement(envelope, 'ceiling'),
  );
  // in-toto validation.md: the predicate type decides what a predicate means.
  if (statement.predicateType !== PREDICATE_TYPES.ceiling) {
    throw refusal(
      'ceiling',
      'predicate-type',
      'the vendor signed this, but not as a resource ceiling',
      {
        why: `its predicate type is ${JSON.stringify(statement.predicateType)}`,
      },
    );
  }
  // A ceiling is made for one artifact, so that none can be lent to another.
  if (statement.subjects.length !== 1) {
    throw refusal('ceiling', 'subject', 'the ceiling was made for more than one artifact');
  }
  // in-toto validation.md: the subject is what was measured, by digest. Another artifact's
  // ceiling, however validly signed, says nothing about this one.
  if (!subjectMatches(statement, measured)) {
    throw refusal('ceiling', 'subject', 'the ceiling was made for another artifact', {
      why: `its subject is ${statement.subjects[0]?.sha256 ?? 'without a SHA-256'}, the artifact is ${measured.sha256}`,
    });
  }
  return { predicate: statement.predicate, keys: signed };
}
