/**
 * SPDX 3.0.1 documents, in the JSON-LD form that the specification calls its own serialisation:
 * one fixed context and a flat `@graph`. Read as far as a host judges them; nothing is expanded or
 * fetched, so that a document in another JSON-LD shape is refused, and not understood differently.
 */

import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import { EVIDENCE_LIMITS } from '../limits.ts';
import { type Sbom, type SbomPackage, type SbomSubject, saysLicence } from './sbom.ts';

export const SPDX3_CONTEXT = 'https://spdx.org/rdf/3.0.1/spdx-context.jsonld';

/** Reads a document. `E_TOO_LARGE`, `E_JSON`, `E_SCHEMA`. */
export function parseSpdx3(bytes: Uint8Array): Sbom {
  return readSpdx3(new Node(parseJson(bytes, { length: EVIDENCE_LIMITS.sbom }), 'spdx3'));
}

/** The same of a document that stands inside a statement. */
export function readSpdx3(node: Node): Sbom {
  node.get('@context').oneOf(SPDX3_CONTEXT);
  const elements = new Map<string, Node>();
  const all = node.get('@graph').items();
  for (const element of all) {
    const id = element.maybe('spdxId')?.string() ?? element.maybe('@id')?.string();
    if (id === undefined) continue;
    // SPDX 3.0.1, Element: an spdxId names one element.
    if (elements.has(id)) throw element.error(`the identifier ${JSON.stringify(id)} stands twice`);
    elements.set(id, element);
  }
  const typed = (type: string): Node[] => all.filter((one) => one.get('type').string() === type);
  // SPDX 3.0.1, CreationInfo.specVersion.
  const [creation] = typed('CreationInfo');
  if (creation === undefined) throw node.error('a CreationInfo is expected');
  creation.get('specVersion').oneOf('3.0.1');

  const licences = licencesOf(typed('Relationship'), elements);
  const packages = typed('software_Package').map((one) => readPackage(one, licences));
  const described = rootsOf([...typed('SpdxDocument'), ...typed('software_Sbom')]).flatMap((id) => {
    const element = elements.get(id);
    const type = element?.get('type').string();
    const isThing = type === 'software_Package' || type === 'software_File';
    return element !== undefined && isThing ? [readSubject(element)] : [];
  });
  return { format: 'SPDX 3.0.1', described, packages };
}

/** What documents and SBOMs name as their root (SPDX 3.0.1, ElementCollection.rootElement). */
function rootsOf(collections: readonly Node[]): string[] {
  const ids = collections.flatMap((one) => one.maybe('rootElement')?.items() ?? []);
  return [...new Set(ids.map((id) => id.string()))];
}

/** Licence expressions by the element that has them; concluded before declared. */
function licencesOf(
  relationships: readonly Node[],
  elements: ReadonlyMap<string, Node>,
): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const type of ['hasConcludedLicense', 'hasDeclaredLicense']) {
    for (const relationship of relationships) {
      if (relationship.get('relationshipType').string() !== type) continue;
      const from = relationship.get('from').string();
      const texts = relationship
        .get('to')
        .items()
        .map((to) =>
          elements.get(to.string())?.maybe('simplelicensing_licenseExpression')?.string(),
        )
        .filter((text) => text !== undefined && saysLicence(text));
      // Several licences at once: all of them hold (SPDX 3.0.1, hasConcludedLicense).
      if (texts.length > 0 && !found.has(from)) {
        found.set(from, texts.map((text) => `(${text})`).join(' AND '));
      }
    }
  }
  return found;
}

function readPackage(node: Node, licences: ReadonlyMap<string, string>): SbomPackage {
  const version = node.maybe('software_packageVersion')?.string();
  const own = node.maybe('software_packageUrl')?.string();
  const others = (node.maybe('externalIdentifier')?.items() ?? []).flatMap((item) =>
    item.get('externalIdentifierType').string() === 'packageUrl'
      ? [item.get('identifier').string()]
      : [],
  );
  const licence = licences.get(node.get('spdxId').string());
  return {
    name: node.get('name').string(),
    ...(version !== undefined && { version }),
    purls: [...(own === undefined ? [] : [own]), ...others],
    licences: licence === undefined ? [] : [licence],
  };
}

function readSubject(node: Node): SbomSubject {
  const checksums = new Map<string, string>();
  for (const item of node.maybe('verifiedUsing')?.items() ?? []) {
    if (item.get('type').string() !== 'Hash') continue;
    const algorithm = item.get('algorithm').string().toUpperCase();
    // Two values of one algorithm would let a reader choose.
    if (checksums.has(algorithm)) throw item.error(`a second ${algorithm} of one element`);
    checksums.set(
      algorithm,
      item.get('hashValue').matching(/^[0-9a-f]+$/, 'lower-case hexadecimal'),
    );
  }
  return { name: node.get('name').string(), checksums };
}
