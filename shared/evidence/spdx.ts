/**
 * SPDX 2.3 documents: built for one artifact, and read far enough to know which bytes a document
 * describes. A document that only contains the artifact as one part of something else is the
 * document of that something.
 */

import { IronError } from '../errors.ts';
import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import { EVIDENCE_LIMITS } from '../limits.ts';
import { formatInstant, type Instant } from '../time.ts';
import { compactJson } from './compact.ts';
import { SPDX } from './identifiers.ts';
import { type Sbom, type SbomPackage, type SbomSubject, saysLicence } from './sbom.ts';
import {
  CHECKSUM,
  ELEMENT_ID,
  isPurlType,
  plainContents,
  plainFileId,
  plainPackageId,
  plainRelationship,
  type Relationship,
} from './spdx-plain.ts';
import type { Digests } from './statement.ts';

export interface SpdxInput {
  /** Name and version of the package that the artifact is. */
  readonly name: string;
  readonly version: string;
  readonly fileName: string;
  readonly digests: Digests;
  /** The organisation that supplies the artifact. */
  readonly supplier: string;
  readonly created: Instant;
  /** A URI that no other document has, without `#` (SPDX 2.3, 6.5). */
  readonly documentNamespace: string;
}

const PACKAGE = 'SPDXRef-Package';

/** A minimal document: one package, the artifact. What is not known is `NOASSERTION`. */
export function buildSpdx(input: SpdxInput): Uint8Array {
  const { digests, supplier } = input;
  return compactJson({
    spdxVersion: SPDX.version,
    dataLicense: SPDX.dataLicense,
    SPDXID: SPDX.document,
    name: `${input.name}-${input.version}`,
    documentNamespace: input.documentNamespace,
    creationInfo: {
      created: formatInstant(input.created),
      creators: ['Tool: ironport', `Organization: ${supplier}`],
    },
    packages: [
      {
        SPDXID: PACKAGE,
        name: input.name,
        versionInfo: input.version,
        packageFileName: input.fileName,
        supplier: `Organization: ${supplier}`,
        downloadLocation: 'NOASSERTION',
        filesAnalyzed: false,
        licenseConcluded: 'NOASSERTION',
        licenseDeclared: 'NOASSERTION',
        copyrightText: 'NOASSERTION',
        checksums: [
          { algorithm: 'SHA256', checksumValue: digests.sha256 },
          ...(digests.sha512 === undefined
            ? []
            : [{ algorithm: 'SHA512', checksumValue: digests.sha512 }]),
        ],
      },
    ],
    relationships: [
      {
        spdxElementId: SPDX.document,
        relationshipType: 'DESCRIBES',
        relatedSpdxElement: PACKAGE,
      },
    ],
  });
}

export interface SpdxDocument extends Sbom {
  readonly name: string;
  readonly namespace: string;
  readonly created: Instant;
}

interface SpdxElement extends SbomSubject {
  readonly id: string;
}

/** Reads an SPDX 2.3 document in JSON. `E_TOO_LARGE`, `E_JSON`, `E_SCHEMA`. */
export function parseSpdx(bytes: Uint8Array): SpdxDocument {
  return readSpdx(new Node(parseJson(bytes, { length: EVIDENCE_LIMITS.sbom }), 'spdx'));
}

/** The same of a document that was read already, or stands inside a statement. */
export function readSpdx(node: Node): SpdxDocument {
  // SPDX 2.3, 6.1 to 6.9: what a document must say about itself.
  node.get('spdxVersion').oneOf(SPDX.version);
  node.get('dataLicense').oneOf(SPDX.dataLicense);
  node.get('SPDXID').oneOf(SPDX.document);
  const name = node.get('name').string();
  const namespace = node
    .get('documentNamespace')
    .matching(/^[a-z][a-z0-9+.-]*:[^\s#]+$/i, 'a URI without #');
  const created = node.get('creationInfo').get('created').instant();
  const creators = node.get('creationInfo').get('creators').items();
  if (creators.length === 0)
    throw node.get('creationInfo').error('at least one creator is expected');
  for (const creator of creators) creator.string();

  const packages = node.maybe('packages');
  const listed = packages?.array() ?? [];
  // Thousands of packages: a place in the document is made only for what is not plain, or refused.
  const ids = listed.map((value, i) => plainPackageId(value) ?? readPackage(at(packages, i)).id);
  const files = node.maybe('files');
  for (const [i, value] of (files?.array() ?? []).entries())
    ids.push(plainFileId(value) ?? readFile(at(files, i)).id);
  const elements = new Map<string, number>();
  for (const id of ids) {
    // SPDX 2.3, 3.2: an identifier names one element of the document.
    if (elements.has(id)) throw node.error(`the identifier ${id} stands twice`);
    elements.set(id, elements.size);
  }
  const described = [...describedIds(node)].flatMap((id) => {
    const i = elements.get(id);
    if (i === undefined) return [];
    return i < listed.length
      ? readPackage(at(packages, i))
      : readFile(at(files, i - listed.length));
  });
  const contents = listed.map((value, i) => plainContents(value) ?? readContents(at(packages, i)));
  return { format: 'SPDX 2.3', name, namespace, created, described, packages: contents };
}

function at(list: Node | undefined, i: number): Node {
  if (list === undefined) throw new IronError('E_INTERNAL', 'an item of no list');
  return list.item(i);
}

/** What a rule may ask of a package: its identity (SPDX 2.3, 7.21) and licences (7.13, 7.15). */
function readContents(node: Node): SbomPackage {
  const version = node.maybe('versionInfo')?.string();
  const purls = (node.maybe('externalRefs')?.items() ?? []).flatMap((reference) => {
    const locator = reference.get('referenceLocator').string();
    return isPurlType(reference.get('referenceType').string()) ? [locator] : [];
  });
  // Concluded by somebody who looked, or else as declared by the package's own authors.
  const concluded = node.maybe('licenseConcluded')?.string() ?? '';
  const declared = node.maybe('licenseDeclared')?.string() ?? '';
  const licences = [saysLicence(concluded) ? concluded : declared].filter(saysLicence);
  const name = node.get('name').string();
  return { name, ...(version !== undefined && { version }), purls, licences };
}

function readPackage(node: Node): SpdxElement {
  // SPDX 2.3, 7.1, 7.3, 7.7: required of a package.
  node.get('downloadLocation').string();
  return readElement(node, node.get('name').string(), node.maybe('checksums'));
}

function readFile(node: Node): SpdxElement {
  return readElement(node, node.get('fileName').string(), node.get('checksums'));
}

function readElement(node: Node, name: string, listed: Node | undefined): SpdxElement {
  const id = node.get('SPDXID').matching(ELEMENT_ID, 'an SPDX identifier');
  const checksums = new Map<string, string>();
  for (const item of listed?.items() ?? []) {
    const algorithm = item.get('algorithm').string();
    // Two values of one algorithm would let a reader choose.
    if (checksums.has(algorithm)) throw item.error(`a second ${algorithm} of one element`);
    checksums.set(
      algorithm,
      item.get('checksumValue').matching(CHECKSUM, 'lower-case hexadecimal'),
    );
  }
  return { id, name, checksums };
}

/** What the document describes (SPDX 2.3, 11.1; `documentDescribes` is the older spelling). */
function describedIds(node: Node): Set<string> {
  const ids = new Set((node.maybe('documentDescribes')?.items() ?? []).map((id) => id.string()));
  const relationships = node.maybe('relationships');
  const listed = relationships?.array() ?? [];
  for (let i = 0; i < listed.length; i++) {
    const one = plainRelationship(listed[i]) ?? readRelationship(at(relationships, i));
    const { spdxElementId: from, relationshipType: type, relatedSpdxElement: to } = one;
    if (type === 'DESCRIBES' && from === SPDX.document) ids.add(to);
    if (type === 'DESCRIBED_BY' && to === SPDX.document) ids.add(from);
  }
  return ids;
}

function readRelationship(node: Node): Relationship {
  return {
    spdxElementId: node.get('spdxElementId').string(),
    relationshipType: node.get('relationshipType').string(),
    relatedSpdxElement: node.get('relatedSpdxElement').string(),
  };
}
