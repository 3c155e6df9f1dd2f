/**
 * SPDX 2.3 in JSON as a second reader has it: every object closed, every field of its kind. The fields
 * are those of the standard's text (clauses 6 to 12), written down here, and the words of its lists are
 * spelt as in JSON; the product's own reader, which is lenient where a host can be, is not asked.
 */

type Check = (value: unknown, path: string) => string[];

const text =
  (pattern: RegExp = /(?:)/): Check =>
  (value, path) =>
    typeof value === 'string' && pattern.test(value)
      ? []
      : [`${path}: ${JSON.stringify(value)?.slice(0, 60)}`];
const yesOrNo: Check = (value, path) =>
  typeof value === 'boolean' ? [] : [`${path}: neither yes nor no`];
const oneOf = (...words: string[]): Check => text(new RegExp(`^(${words.join('|')})$`));
const listOf =
  (check: Check, least = 0): Check =>
  (value, path) =>
    !Array.isArray(value) || value.length < least
      ? [`${path}: no list of at least ${least}`]
      : value.flatMap((item, i) => check(item, `${path}[${i}]`));

/** Names that end in `?` may be absent; any other field is a fault. */
const closed = (fields: Readonly<Record<string, Check>>): Check => {
  const byName = new Map(
    Object.entries(fields).map(([name, check]) => [
      name.replace(/\?$/, ''),
      { check, optional: name.endsWith('?') },
    ]),
  );
  return (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return [`${path}: no object`];
    const found = Object.entries(value).flatMap(([name, member]) => {
      const known = byName.get(name);
      return known === undefined
        ? [`${path}.${name}: not of SPDX 2.3`]
        : known.check(member, `${path}.${name}`);
    });
    const missing = [...byName].filter(([name, { optional }]) => !optional && !(name in value));
    return [...found, ...missing.map(([name]) => `${path}.${name}: missing`)];
  };
};

const time = text(/^\d{4}-(0[1-9]|1[0-2])-\d{2}T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$/);
const element = text(/^SPDXRef-[A-Za-z0-9.-]+$/);
const agent = text(/^(NOASSERTION|(Person|Organization): .+)$/);
const LENGTHS: Readonly<Record<string, number>> = { SHA1: 40, SHA256: 64, SHA512: 128 };
const checksum: Check = (value, path) => {
  const faults = closed({
    algorithm: oneOf(...Object.keys(LENGTHS)),
    checksumValue: text(/^[0-9a-f]+$/),
  })(value, path);
  if (faults.length > 0) return faults;
  const { algorithm, checksumValue } = value as { algorithm: string; checksumValue: string };
  return checksumValue.length === LENGTHS[algorithm] ? [] : [`${path}: of another length`];
};
const annotation = closed({
  annotationDate: time,
  annotationType: oneOf('REVIEW', 'OTHER'),
  annotator: text(/^(Person|Organization|Tool): .+$/),
  comment: text(),
});
const PURPOSES = [
  ...['APPLICATION', 'FRAMEWORK', 'LIBRARY', 'CONTAINER', 'OPERATING_SYSTEM', 'DEVICE', 'FIRMWARE'],
  ...['SOURCE', 'ARCHIVE', 'FILE', 'INSTALL', 'OTHER'],
];

const aPackage = closed({
  name: text(/./),
  SPDXID: element,
  'versionInfo?': text(),
  'packageFileName?': text(),
  'supplier?': agent,
  'originator?': agent,
  downloadLocation: text(/./),
  'filesAnalyzed?': yesOrNo,
  'packageVerificationCode?': closed({
    packageVerificationCodeValue: text(/^[0-9a-f]{40}$/),
    'packageVerificationCodeExcludedFiles?': listOf(text()),
  }),
  'checksums?': listOf(checksum),
  'homepage?': text(),
  'sourceInfo?': text(),
  'licenseConcluded?': text(/./),
  'licenseInfoFromFiles?': listOf(text(/./)),
  'licenseDeclared?': text(/./),
  'licenseComments?': text(),
  'copyrightText?': text(),
  'summary?': text(),
  'description?': text(),
  'comment?': text(),
  'externalRefs?': listOf(
    closed({
      referenceCategory: oneOf('SECURITY', 'PACKAGE-MANAGER', 'PERSISTENT-ID', 'OTHER'),
      referenceType: text(/^\S+$/),
      referenceLocator: text(/^\S+$/),
      'comment?': text(),
    }),
  ),
  'attributionTexts?': listOf(text()),
  'primaryPackagePurpose?': oneOf(...PURPOSES),
  'releaseDate?': time,
  'builtDate?': time,
  'validUntilDate?': time,
  'annotations?': listOf(annotation),
});

const aFile = closed({
  fileName: text(/./),
  SPDXID: element,
  checksums: listOf(checksum, 1),
  'fileTypes?': listOf(text(/^[A-Z]+$/)),
  'licenseConcluded?': text(/./),
  'licenseInfoInFiles?': listOf(text(/./)),
  'licenseComments?': text(),
  'copyrightText?': text(),
  'comment?': text(),
  'noticeText?': text(),
  'fileContributors?': listOf(text()),
  'attributionTexts?': listOf(text()),
  'annotations?': listOf(annotation),
});

const document = closed({
  spdxVersion: oneOf('SPDX-2\\.3'),
  dataLicense: oneOf('CC0-1\\.0'),
  SPDXID: oneOf('SPDXRef-DOCUMENT'),
  name: text(/./),
  documentNamespace: text(/^[a-z][a-z0-9+.-]*:[^#\s]+$/),
  creationInfo: closed({
    created: time,
    creators: listOf(text(/^(Person|Organization|Tool): .+$/), 1),
    'licenseListVersion?': text(/^\d+\.\d+$/),
    'comment?': text(),
  }),
  'comment?': text(),
  'documentDescribes?': listOf(element),
  'packages?': listOf(aPackage),
  'files?': listOf(aFile),
  'hasExtractedLicensingInfos?': listOf(
    closed({
      licenseId: text(/^LicenseRef-[A-Za-z0-9.-]+$/),
      extractedText: text(),
      'name?': text(),
      'comment?': text(),
      'seeAlsos?': listOf(text()),
    }),
  ),
  'relationships?': listOf(
    closed({
      spdxElementId: element,
      // Those of clause 11.1 that this project writes.
      relationshipType: oneOf('DESCRIBES', 'DEPENDS_ON', 'CONTAINS'),
      relatedSpdxElement: text(/^(SPDXRef-[A-Za-z0-9.-]+|NONE|NOASSERTION)$/),
      'comment?': text(),
    }),
  ),
  'annotations?': listOf(annotation),
});

/** What in `value` is not of the form of SPDX 2.3; an empty list when all is. */
export function faultsOfSpdx2(value: unknown): string[] {
  return document(value, 'document');
}
