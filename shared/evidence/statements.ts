/**
 * Every line of a `.intoto.jsonl` with who signed it and whether it is about these bytes. Lines
 * that do not count are kept with the reason: in-toto's monotonic principle says that passing one
 * over may only turn a yes into a no.
 */

import type { Crypto } from '../crypto/crypto.ts';
import type { PublicKey } from '../crypto/key.ts';
import { asIronError } from '../errors.ts';
import type { BundleLine } from './bundle.ts';
import { assertAffordable, verifyEnvelope } from './dsse.ts';
import { IN_TOTO_PAYLOAD_TYPE } from './identifiers.ts';
import { verifyPredicateForm } from './predicates.ts';
import { reading } from './refusal.ts';
import { type Digests, parseStatement, type Statement, subjectMatches } from './statement.ts';

export interface SignedStatement {
  readonly line: number;
  readonly statement: Statement;
  /** The distinct keys, of those given, that signed it. Never empty. */
  readonly keys: readonly PublicKey[];
}

/** A line that does not count, and why. */
export interface PassedLine {
  readonly line: number;
  readonly reason: 'payload-type' | 'signer' | 'unreadable' | 'subject';
  readonly why: string;
  /** The predicate type, once it is signed and read. */
  readonly predicateType?: string;
  /** Who signed it, when that is not what it was passed over for. */
  readonly keys: readonly PublicKey[];
}

export interface ReadStatements {
  readonly about: readonly SignedStatement[];
  readonly passed: readonly PassedLine[];
}

/** Reads all lines. `E_EVIDENCE` (too-large) when trying the signatures would cost too much. */
export function readStatements(
  crypto: Crypto,
  lines: readonly BundleLine[],
  measured: Digests,
  keys: readonly PublicKey[],
): ReadStatements {
  const envelopes = lines.flatMap((line) => ('envelope' in line ? line.envelope : []));
  reading('statements', 'too-large', 'too many signatures', () =>
    assertAffordable(envelopes, keys.length),
  );
  const about: SignedStatement[] = [];
  const passed: PassedLine[] = [];
  for (const line of lines) {
    const result = judge(crypto, line, measured, keys);
    if ('statement' in result) about.push(result);
    else passed.push(result);
  }
  return { about, passed };
}

function judge(
  crypto: Crypto,
  line: BundleLine,
  measured: Digests,
  keys: readonly PublicKey[],
): SignedStatement | PassedLine {
  let signed: readonly PublicKey[] = [];
  const not = (reason: PassedLine['reason'], why: string, predicateType?: string): PassedLine => ({
    line: line.line,
    reason,
    why,
    keys: signed,
    ...(predicateType !== undefined && { predicateType }),
  });
  // in-toto bundle.md: lines that are no envelopes are ignored.
  if ('ignored' in line) return not('payload-type', line.ignored);
  const { envelope } = line;
  try {
    // in-toto validation.md, first of all the signature: what follows is read only if it holds.
    signed = verifyEnvelope(crypto, envelope, keys, 1);
  } catch (cause) {
    return not('signer', whyOf(cause));
  }
  if (envelope.payloadType !== IN_TOTO_PAYLOAD_TYPE) {
    return not('payload-type', `the payload type is ${JSON.stringify(envelope.payloadType)}`);
  }
  let statement: Statement | undefined;
  try {
    statement = parseStatement(envelope, 'statement');
    // SLSA 1.2, verifying artifacts, step 1: the subject matches the digest of the artifact.
    if (!subjectMatches(statement, measured)) {
      return not(
        'subject',
        `no subject has the SHA-256 ${measured.sha256}`,
        statement.predicateType,
      );
    }
    verifyPredicateForm(statement.predicateType, statement.predicate);
    return { line: line.line, statement, keys: signed };
  } catch (cause) {
    return not('unreadable', whyOf(cause), statement?.predicateType);
  }
}

/** What a refusal says; a defect of ours is no finding about a line and goes on its way. */
function whyOf(cause: unknown): string {
  const error = asIronError(cause);
  if (error.code === 'E_INTERNAL') throw error;
  return error.message;
}
