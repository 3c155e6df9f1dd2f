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
  const packages = all.filter(isPackage).map((one) => readPackage(one, licences));
  const described = rootsOf([...typed('SpdxDocument'), ...typed('software_Sbom')]).flatMap((id) => {
    const element = elements.get(id);
    if (element === undefined) return [];
    const isThing = isPackage(element) || element.get('type').string() === 'software_File';
    return isThing ? [readSubject(element)] : [];
  });
  return { format: 'SPDX 3.0.1', described, packages };
}

/** What documents and SBOMs name as their root (SPDX 3.0.1, ElementCollection.rootElement). */
function rootsOf(collections: readonly Node[]): string[] {
  const ids = collections.flatMap((one) => one.maybe('rootElement')?.items() ?? []);
  return [...new Set(ids.map((id) => id.string()))];
}

/** A package and what is one too (SPDX 3.0.1, AIPackage and DatasetPackage are subclasses of Package). */
function isPackage(element: Node): boolean {
  return PACKAGES.has(element.get('type').string());
}

const PACKAGES: ReadonlySet<string> = new Set([
  'software_Package',
  'ai_AIPackage',
  'dataset_DatasetPackage',
]);

/** Where SPDX's list of licences names each, and the two that say nothing (NoneLicense, NoAssertionLicense). */
const LISTED = 'https://spdx.org/licenses/';
const SAYS_NOTHING =
  /^(?:https:\/\/spdx\.org\/rdf\/3\.0\.1\/terms\/\w+\/|expandedlicensing_)(?:None|NoAssertion)(?:License|Element)$/;

/**
 * Licence expressions by the element that has them; concluded before declared. Several licences at once
 * all hold, in one relationship or in more (SPDX 3.0.1, hasConcludedLicense). They stay apart: put
 * together as one text, the brackets of one could take another's meaning.
 */
function licencesOf(
  relationships: readonly Node[],
  elements: ReadonlyMap<string, Node>,
): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const type of ['hasConcludedLicense', 'hasDeclaredLicense']) {
    const said = new Map<string, string[]>();
    for (const relationship of relationships) {
      if (relationship.get('relationshipType').string() !== type) continue;
      const from = relationship.get('from').string();
      const texts = said.get(from) ?? [];
      said.set(from, texts);
      for (const to of relationship.get('to').items()) {
        const text = licenceText(to.string(), elements);
        if (saysLicence(text)) texts.push(text);
      }
    }
    for (const [from, texts] of said)
      if (texts.length > 0 && !found.has(from)) found.set(from, texts);
  }
  return found;
}

/** A licence that is described in another way than by an expression is its identifier: no rule takes that. */
function licenceText(id: string, elements: ReadonlyMap<string, Node>): string {
  const expression = elements.get(id)?.maybe('simplelicensing_licenseExpression')?.string();
  if (expression !== undefined) return expression;
  if (SAYS_NOTHING.test(id)) return '';
  return id.startsWith(LISTED) ? id.slice(LISTED.length) : id;
}

function readPackage(node: Node, licences: ReadonlyMap<string, readonly string[]>): SbomPackage {
  const version = node.maybe('software_packageVersion')?.string();
  const own = node.maybe('software_packageUrl')?.string();
  const others = (node.maybe('externalIdentifier')?.items() ?? []).flatMap((item) =>
    item.get('externalIdentifierType').string() === 'packageUrl'
      ? [item.get('identifier').string()]
      : [],
  );
  return {
    name: node.get('name').string(),
    ...(version !== undefined && { version }),
    purls: [...(own === undefined ? [] : [own]), ...others],
    licences: licences.get(node.get('spdxId').string()) ?? [],
  };
}

function readSubject(node: Node): SbomSubject {
  const checksums = new Map<string, string>();
  for (const item of node.maybe('verifiedUsing')?.items() ?? []) {
    if (item.get('type').string() !== 'Hash') continue;
    // In ASCII: there are other letters of which the upper case is an S or a K.
    const algorithm = item.get('algorithm').matching(/^\w+$/, 'an algorithm').toUpperCase();
    // Two values of one algorithm would let a reader choose.
    if (checksums.has(algorithm)) throw item.error(`a second ${algorithm} of one element`);
    checksums.set(
      algorithm,
      item.get('hashValue').matching(/^[0-9a-f]+$/, 'lower-case hexadecimal'),
    );
  }
  return { name: node.get('name').string(), checksums };
}
