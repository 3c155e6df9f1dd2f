/**
 * What the formats of bills of materials have in common, as far as a host judges them: which
 * bytes a document describes, and which packages it lists. Each format has a reader of its own.
 */

import { refusal } from './refusal.ts';
import type { Digests } from './statement.ts';

export type SbomFormat = 'SPDX 2.3' | 'SPDX 3.0.1' | 'CycloneDX 1.6';

export interface SbomPackage {
  readonly name: string;
  readonly version?: string;
  /** Package URLs as the document writes them; they are read when a rule asks. */
  readonly purls: readonly string[];
  /** Licence expressions that stand for the package; `NOASSERTION` is left out. */
  readonly licences: readonly string[];
}

/** Something that a document says it is about. */
export interface SbomSubject {
  readonly name: string;
  /** Digests by SPDX's names of the algorithms, `SHA256`, in lower-case hexadecimal. */
  readonly checksums: ReadonlyMap<string, string>;
}

export interface Sbom {
  readonly format: SbomFormat;
  readonly described: readonly SbomSubject[];
  /** Every package of the document, the described one included. */
  readonly packages: readonly SbomPackage[];
}

/** The described thing that is these bytes; `E_EVIDENCE` when there is none. */
export function verifySbomDescribes(document: Sbom, measured: Digests): SbomSubject {
  const found = document.described.find((subject) => describes(subject, measured));
  if (found !== undefined) return found;
  throw refusal('sbom', 'subject', `the ${document.format} document describes another file`, {
    why:
      document.described.length === 0
        ? 'it names nothing that it describes'
        : `it describes ${JSON.stringify(document.described[0]?.name)}, which has not the SHA-256 ${measured.sha256}`,
  });
}

/** All measured digests that it names must match, and SHA-256 must be among them. */
export function describes({ checksums }: SbomSubject, measured: Digests): boolean {
  const sha512 = checksums.get('SHA512');
  return (
    checksums.get('SHA256') === measured.sha256 &&
    (sha512 === undefined || measured.sha512 === undefined || sha512 === measured.sha512)
  );
}

/** Licences that say nothing (SPDX 2.3, 7.13; SPDX 3.0.1, NoAssertionLicense). */
export function saysLicence(text: string): boolean {
  return text !== '' && text !== 'NOASSERTION' && text !== 'NONE';
}
