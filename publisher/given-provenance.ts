/**
 * The provenance that a builder gave: the predicate alone, or the whole statement about its output,
 * bare or in the envelope or Sigstore bundle in which the builder signed it.
 */

import { IronError } from '../shared/errors.ts';
import { readEnvelope } from '../shared/evidence/dsse.ts';
import { PREDICATE_TYPES } from '../shared/evidence/identifiers.ts';
import { parseProvenance } from '../shared/evidence/provenance.ts';
import {
  type Digests,
  parseStatement,
  readStatement,
  type Statement,
  subjectMatches,
} from '../shared/evidence/statement.ts';
import { Node } from '../shared/json/decode.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { PUBLISHER_LIMITS } from '../shared/limits.ts';
import { readJsonFile } from '../shared/node/files.ts';

export interface GivenProvenance {
  /** SLSA provenance v1, as it is. */
  readonly predicate: JsonObject;
  /** What it came in, when that says which bytes it is about. */
  readonly statement?: Statement;
  /** Whether the builder signed it: that signature is neither verified nor kept. */
  readonly isSigned: boolean;
}

/** Reads what stands at `path`. `E_JSON`, `E_SCHEMA`, and what reading a file throws. */
export async function loadGivenProvenance(path: string): Promise<GivenProvenance> {
  const node = new Node(await readJsonFile(path, PUBLISHER_LIMITS.provenance), path);
  const envelope = node.maybe('dsseEnvelope') ?? node;
  const isSigned = envelope.maybe('payloadType') !== undefined;
  if (!isSigned && node.maybe('_type') === undefined) {
    parseProvenance(node);
    return { predicate: node.object(), isSigned };
  }
  const statement = isSigned ? parseStatement(readEnvelope(envelope), path) : readStatement(node);
  const { predicateType, predicate } = statement;
  if (predicateType !== PREDICATE_TYPES.provenance)
    throw new IronError('E_SCHEMA', `${path} states ${predicateType}`, {
      why: `a builder's provenance is of the type ${PREDICATE_TYPES.provenance}`,
      hint: 'nothing was signed; ask the builder for SLSA provenance v1',
    });
  parseProvenance(predicate);
  return { predicate: predicate.object(), statement, isSigned };
}

/** `E_EVIDENCE` (subject) when it is known to be about other bytes than these. */
export function requireAbout(
  { statement }: GivenProvenance,
  file: string,
  measured: Digests,
): void {
  if (statement === undefined || subjectMatches(statement, measured)) return;
  const named = statement.subjects.map(({ name, sha256 }) =>
    `${name ?? ''} ${sha256 ?? ''}`.trim(),
  );
  throw new IronError('E_EVIDENCE', `the provenance is not about ${file}`, {
    why: `it is about ${named.slice(0, 4).join(', ')}, and the SHA-256 of ${file} is ${measured.sha256}`,
    hint: 'nothing was signed; give the file that the builder made, or the provenance of this one',
    context: { reason: 'subject' },
  });
}
