/**
 * Bills of materials among the statements, in any format that is known here. Whoever lists a part in
 * a statement has listed it: such a bill is held to the same bytes, and judged by the same rules, as
 * the document beside the artifact.
 */

import type { Node } from '../json/decode.ts';
import { readCycloneDx } from './cyclonedx.ts';
import { PREDICATE_TYPES } from './identifiers.ts';
import { refusal } from './refusal.ts';
import { describes, type Sbom } from './sbom.ts';
import { readSpdx } from './spdx.ts';
import { readSpdx3 } from './spdx3.ts';
import type { Digests } from './statement.ts';
import type { SignedStatement } from './statements.ts';

const READERS: Readonly<Record<string, (predicate: Node) => Sbom>> = {
  [PREDICATE_TYPES.spdx2]: readSpdx,
  [PREDICATE_TYPES.spdx3]: readSpdx3,
  [PREDICATE_TYPES.cyclonedx]: readCycloneDx,
};

/** Reads the bills. `E_EVIDENCE` (subject) when one names bytes that it describes, and others. */
export function readStatedBills(
  statements: readonly SignedStatement[],
  measured: Digests,
): readonly Sbom[] {
  return statements.flatMap(({ line, statement: { predicateType, predicate } }) => {
    const read = Object.hasOwn(READERS, predicateType) ? READERS[predicateType] : undefined;
    if (read === undefined) return [];
    const bill = read(predicate);
    // The subject of the statement binds it; what has no digest of its own does not contradict that.
    const named = bill.described.filter(({ checksums }) => checksums.has('SHA256'));
    if (named.length === 0 || named.some((subject) => describes(subject, measured))) return bill;
    throw refusal('statements', 'subject', `line ${line}: its bill describes another file`, {
      why: `it describes ${JSON.stringify(named[0]?.name)}, which has not the SHA-256 ${measured.sha256}`,
      context: { predicate_type: predicateType },
    });
  });
}
