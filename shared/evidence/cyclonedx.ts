/** CycloneDX 1.6 documents in JSON, read as far as a host judges them. */

import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import { EVIDENCE_LIMITS } from '../limits.ts';
import { type Sbom, type SbomPackage, type SbomSubject, saysLicence } from './sbom.ts';

/** Reads a document. `E_TOO_LARGE`, `E_JSON`, `E_SCHEMA`. */
export function parseCycloneDx(bytes: Uint8Array): Sbom {
  return readCycloneDx(new Node(parseJson(bytes, { length: EVIDENCE_LIMITS.sbom }), 'cyclonedx'));
}

/** The same of a document that stands inside a statement. */
export function readCycloneDx(node: Node): Sbom {
  // CycloneDX 1.6, the two fields that every document has.
  node.get('bomFormat').oneOf('CycloneDX');
  node.get('specVersion').oneOf('1.6');
  const packages: SbomPackage[] = [];
  const described: SbomSubject[] = [];
  // metadata.component: "the component that the BOM describes".
  const subject = node.maybe('metadata')?.maybe('component');
  if (subject !== undefined) {
    described.push(readSubject(subject));
    readComponents([subject], packages);
  }
  readComponents(node.maybe('components')?.items() ?? [], packages);
  return { format: 'CycloneDX 1.6', described, packages };
}

/** Components stand inside components; the strict reader bounds how deep. */
function readComponents(list: readonly Node[], into: SbomPackage[]): void {
  for (const node of list) {
    const version = node.maybe('version')?.string();
    const purl = node.maybe('purl')?.string();
    into.push({
      name: node.get('name').string(),
      ...(version !== undefined && { version }),
      purls: purl === undefined ? [] : [purl],
      licences: (node.maybe('licenses')?.items() ?? []).flatMap(readLicences).filter(saysLicence),
    });
    readComponents(node.maybe('components')?.items() ?? [], into);
  }
}

/** An expression, or one licence (CycloneDX 1.6, licenseChoice); where both stand, both are said. */
function readLicences(node: Node): string[] {
  const expression = node.maybe('expression')?.string();
  if (expression === undefined) return [readLicence(node.get('license'))];
  const licence = node.maybe('license');
  return licence === undefined ? [expression] : [expression, readLicence(licence)];
}

/** Its id or its name. */
function readLicence(licence: Node): string {
  const id = licence.maybe('id')?.string();
  // A name is no identifier of SPDX's list: as a reference it equals nothing on it.
  return (
    id ??
    `LicenseRef-${licence
      .get('name')
      .string()
      .replace(/[^A-Za-z0-9.-]/g, '-')}`
  );
}

const ALGORITHMS: Readonly<Record<string, string>> = { 'SHA-256': 'SHA256', 'SHA-512': 'SHA512' };

function readSubject(node: Node): SbomSubject {
  const checksums = new Map<string, string>();
  for (const item of node.maybe('hashes')?.items() ?? []) {
    const algorithm = item.get('alg').string();
    const name = Object.hasOwn(ALGORITHMS, algorithm) ? ALGORITHMS[algorithm] : algorithm;
    const key = name ?? algorithm;
    // Two values of one algorithm would let a reader choose.
    if (checksums.has(key)) throw item.error(`a second ${algorithm} of one component`);
    checksums.set(key, item.get('content').matching(/^[0-9a-f]+$/, 'lower-case hexadecimal'));
  }
  return { name: node.get('name').string(), checksums };
}
