/**
 * in-toto Statement v1: "of these subjects, known by digest, the following is claimed". Names in
 * a statement are decoration; only digests bind it to bytes.
 */

import { IronError } from '../errors.ts';
import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import type { JsonObject } from '../json/value.ts';
import { EVIDENCE_LIMITS } from '../limits.ts';
import { compactJson } from './compact.ts';
import type { Envelope } from './dsse.ts';
import { IN_TOTO_PAYLOAD_TYPE, STATEMENT_TYPE } from './identifiers.ts';

/** Digests that we measured, in lower-case hexadecimal. */
export interface Digests {
  readonly sha256: string;
  readonly sha512?: string;
}

export interface Subject extends Partial<Digests> {
  readonly name?: string;
}

export interface Statement {
  readonly subjects: readonly Subject[];
  readonly predicateType: string;
  readonly predicate: Node;
}

/** Reads the statement inside an envelope. `E_JSON`, `E_SCHEMA`. Says nothing about who signed. */
export function parseStatement(envelope: Envelope, what = 'statement'): Statement {
  // in-toto envelope.md lets predicates have media types of their own; verifiers in the field
  // take this one only, and a payload of another type was never signed as a statement.
  if (envelope.payloadType !== IN_TOTO_PAYLOAD_TYPE) {
    throw new IronError('E_SCHEMA', `${what}: the payload type is not ${IN_TOTO_PAYLOAD_TYPE}`, {
      context: { at: what },
    });
  }
  return readStatement(
    new Node(parseJson(envelope.payload, { length: EVIDENCE_LIMITS.envelope }), what),
  );
}

/** The same of a statement that nobody signed. `E_SCHEMA`. */
export function readStatement(node: Node): Statement {
  node.get('_type').oneOf(STATEMENT_TYPE);
  const subjects = node.get('subject').items(EVIDENCE_LIMITS.subjects).map(readSubject);
  // in-toto statement.md: a statement about nothing binds nothing.
  if (subjects.length === 0) throw node.get('subject').error('at least one subject is expected');
  const predicateType = node.get('predicateType').matching(TYPE_URI, 'a URI');
  // in-toto statement.md: an absent predicate is the same as an empty one.
  const predicate = node.maybe('predicate') ?? new Node({}, 'predicate', node);
  predicate.object();
  return { subjects, predicateType, predicate };
}

/** A URI with a scheme, without white space (in-toto field_types.md, TypeURI). */
export const TYPE_URI = /^[A-Za-z][A-Za-z0-9+.-]*:\S{1,2048}$/;

const SHA256 = /^[0-9a-f]{64}$/;
const SHA512 = /^[0-9a-f]{128}$/;

function readSubject(node: Node): Subject {
  const digest = node.get('digest');
  const listed = digest.entries(EVIDENCE_LIMITS.digestsPerSubject);
  // in-toto statement.md: each subject MUST have a digest.
  if (listed.length === 0) throw digest.error('at least one digest is expected');
  // digest_set.md: values are text, those of algorithms that we do not accept are ignored.
  for (const [, value] of listed) value.string();
  const name = node.maybe('name')?.string();
  const sha256 = digest.maybe('sha256')?.matching(SHA256, 'a SHA-256 in lower-case hexadecimal');
  const sha512 = digest.maybe('sha512')?.matching(SHA512, 'a SHA-512 in lower-case hexadecimal');
  return {
    ...(name !== undefined && { name }),
    ...(sha256 !== undefined && { sha256 }),
    ...(sha512 !== undefined && { sha512 }),
  };
}

/**
 * Whether some subject is these bytes. SHA-256 must be there and match. in-toto would be content
 * with any digest that matches; here all that we measured and the subject names must, so that the
 * weakest does not decide.
 */
export function subjectMatches(statement: Statement, measured: Digests): boolean {
  return statement.subjects.some(
    ({ sha256, sha512 }) =>
      sha256 === measured.sha256 &&
      (sha512 === undefined || measured.sha512 === undefined || sha512 === measured.sha512),
  );
}

export interface StatementInput {
  readonly subjects: readonly (Digests & { readonly name?: string })[];
  readonly predicateType: string;
  readonly predicate: JsonObject;
}

/** The payload of a statement: no field but those of Statement v1, which some readers insist on. */
export function buildStatement({ subjects, predicateType, predicate }: StatementInput): Uint8Array {
  return compactJson({
    _type: STATEMENT_TYPE,
    subject: subjects.map(({ name, sha256, sha512 }) => ({
      ...(name !== undefined && { name }),
      digest: sha512 === undefined ? { sha256 } : { sha256, sha512 },
    })),
    predicateType,
    predicate,
  });
}
