/** A bill as SPDX 2.3 in JSON. What is not known is `NOASSERTION`. */

import type { JsonObject, JsonValue } from '../../json/value.ts';
import { formatInstant } from '../../time.ts';
import { compactJson } from '../compact.ts';
import { SPDX } from '../identifiers.ts';
import { type Bill, type BillFile, type Component, subjectOf } from './bill.ts';

const UNKNOWN = 'NOASSERTION';
const TOOL = 'Tool: ironport';
const PURPOSES: Readonly<Record<Component['purpose'], string>> = {
  'device-driver': 'DEVICE',
  library: 'LIBRARY',
  application: 'APPLICATION',
  // In JSON with an underscore (the schema of 2.3), where the text of 7.24 has a hyphen.
  'operating-system': 'OPERATING_SYSTEM',
  files: 'OTHER',
};

export function writeSpdx2(bill: Bill, digest: string): Uint8Array {
  const subject = subjectOf(bill);
  const created = formatInstant(bill.created);
  const supplier = bill.supplier === undefined ? undefined : `Organization: ${bill.supplier}`;
  const hasFiles = bill.files.length > 0;
  return compactJson({
    spdxVersion: SPDX.version,
    dataLicense: SPDX.dataLicense,
    SPDXID: SPDX.document,
    name: subject.version === undefined ? subject.name : `${subject.name}-${subject.version}`,
    documentNamespace: `${SPDX.namespace}${digest}`,
    creationInfo: { created, creators: [TOOL, ...(supplier === undefined ? [] : [supplier])] },
    documentDescribes: [ref(subject.id)],
    packages: bill.components.map((one) => ({
      ...packageOf(one, created),
      ...(one === subject && supplier !== undefined && { supplier }),
      ...(one === subject && hasFiles && analysed(bill)),
    })),
    ...(hasFiles && { files: bill.files.map(fileOf) }),
    ...(bill.otherLicences.length > 0 && {
      hasExtractedLicensingInfos: bill.otherLicences.map(({ id, text }) => ({
        licenseId: id,
        extractedText: text,
        name: text,
      })),
    }),
    relationships: [
      related(SPDX.document, 'DESCRIBES', ref(subject.id)),
      ...bill.components.flatMap(({ id, needs }) =>
        needs.map((other) => related(ref(id), 'DEPENDS_ON', ref(other))),
      ),
      ...bill.files.map((_, i) => related(ref(subject.id), 'CONTAINS', fileRef(i))),
      ...containedIn(bill).map((id) => related(ref(subject.id), 'CONTAINS', ref(id))),
    ],
  });
}

/** Components with bytes of their own beside the described one: they lie in it. */
export function containedIn({ components }: Bill): string[] {
  return components.slice(1).flatMap(({ id, sha256 }) => (sha256 === undefined ? [] : [id]));
}

const ref = (id: string): string => `SPDXRef-${id}`;
const fileRef = (index: number): string => `SPDXRef-File-${index}`;
const related = (from: string, relationshipType: string, to: string): JsonObject => ({
  spdxElementId: from,
  relationshipType,
  relatedSpdxElement: to,
});

function packageOf(one: Component, created: string): JsonObject {
  const { version, fileName, sha256, sha512, purl, facts } = one;
  const sums: JsonValue[] = [
    ...(sha256 === undefined ? [] : [{ algorithm: 'SHA256', checksumValue: sha256 }]),
    ...(sha512 === undefined ? [] : [{ algorithm: 'SHA512', checksumValue: sha512 }]),
  ];
  return {
    SPDXID: ref(one.id),
    name: one.name,
    ...(version !== undefined && { versionInfo: version }),
    ...(fileName !== undefined && { packageFileName: fileName }),
    supplier: UNKNOWN,
    downloadLocation: UNKNOWN,
    filesAnalyzed: false,
    licenseConcluded: UNKNOWN,
    licenseDeclared: one.licence ?? UNKNOWN,
    copyrightText: UNKNOWN,
    primaryPackagePurpose: PURPOSES[one.purpose],
    ...(sums.length > 0 && { checksums: sums }),
    ...(purl !== undefined && {
      externalRefs: [
        { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl },
      ],
    }),
    ...(facts.length > 0 && {
      annotations: facts.map(([name, value]) => ({
        annotationDate: created,
        annotationType: 'OTHER',
        annotator: TOOL,
        comment: `${name}: ${value}`,
      })),
    }),
  };
}

/** SPDX 2.3, 7.8, 7.9 and 7.14: of a package whose files were looked at. */
function analysed({ files, verificationCode }: Bill): JsonObject {
  const found = [...new Set(files.flatMap(({ licences }) => licences))].sort();
  return {
    filesAnalyzed: true,
    ...(verificationCode !== undefined && {
      packageVerificationCode: { packageVerificationCodeValue: verificationCode },
    }),
    licenseInfoFromFiles: found.length > 0 ? found : [UNKNOWN],
  };
}

function fileOf({ name, sha1, sha256, licences }: BillFile, index: number): JsonObject {
  return {
    SPDXID: fileRef(index),
    fileName: name,
    // SPDX 2.3, 8.4: SHA-1 must be there; SHA-256 is the one to rely on.
    checksums: [
      { algorithm: 'SHA1', checksumValue: sha1 },
      { algorithm: 'SHA256', checksumValue: sha256 },
    ],
    licenseConcluded: UNKNOWN,
    licenseInfoInFiles: licences.length > 0 ? [...licences] : [UNKNOWN],
    copyrightText: UNKNOWN,
  };
}
