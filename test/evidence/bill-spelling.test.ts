/** Bills that say a thing in another place or spelling than most do, and still say it. */

import t from 'tap';
import { readCycloneDx } from '../../shared/evidence/cyclonedx.ts';
import { licenceHolds } from '../../shared/evidence/licences.ts';
import { readSpdx } from '../../shared/evidence/spdx.ts';
import { readSpdx3, SPDX3_CONTEXT } from '../../shared/evidence/spdx3.ts';
import { Node } from '../../shared/json/decode.ts';
import type { JsonObject } from '../../shared/json/value.ts';

const expression = (id: string, text: string): JsonObject => ({
  type: 'simplelicensing_LicenseExpression',
  spdxId: id,
  simplelicensing_licenseExpression: text,
});
const licensed = (relationshipType: string, ...to: string[]): JsonObject => ({
  type: 'Relationship',
  relationshipType,
  from: 'urn:part',
  to,
});
const part = (type = 'software_Package', more: JsonObject = {}): JsonObject => ({
  ...{ type, spdxId: 'urn:part', name: 'part' },
  ...more,
});
const spdx3 = (...graph: JsonObject[]) =>
  readSpdx3(
    new Node(
      {
        '@context': SPDX3_CONTEXT,
        '@graph': [{ type: 'CreationInfo', '@id': '_:ci', specVersion: '3.0.1' }, ...graph],
      },
      'bill',
    ),
  );

t.test('SPDX 3: all licences of a package are said, each by itself', async (t) => {
  const GPL = expression('urn:gpl', 'GPL-3.0-only');
  const MIT = expression('urn:mit', 'MIT');
  const of = (...more: JsonObject[]) => spdx3(part(), GPL, MIT, ...more).packages[0]?.licences;
  const concluded = 'hasConcludedLicense';
  t.same(of(licensed(concluded, 'urn:mit'), licensed(concluded, 'urn:gpl')), [
    'MIT',
    'GPL-3.0-only',
  ]);
  const open = expression('urn:open', 'MIT) OR (MIT');
  const found = of(open, licensed(concluded, 'urn:gpl', 'urn:open')) ?? [];
  t.same(found, ['GPL-3.0-only', 'MIT) OR (MIT']);
  t.equal(
    licenceHolds('MIT) OR (MIT', () => true),
    undefined,
  );
  t.same(of(licensed(concluded, 'urn:mit', 'https://spdx.org/licenses/GPL-3.0-only')), [
    'MIT',
    'GPL-3.0-only',
  ]);
  t.same(of(licensed(concluded, 'urn:nowhere')), ['urn:nowhere']);
  t.equal(
    licenceHolds('urn:nowhere', () => true),
    undefined,
    'what is not said is not taken',
  );
  const nothing = 'https://spdx.org/rdf/3.0.1/terms/ExpandedLicensing/NoAssertionLicense';
  t.same(of(licensed(concluded, nothing), licensed('hasDeclaredLicense', 'urn:gpl')), [
    'GPL-3.0-only',
  ]);
  t.same(of(licensed(concluded, 'urn:mit'), licensed('hasDeclaredLicense', 'urn:gpl')), ['MIT']);
});

t.test('SPDX 3: what is a package by another name, and a hash by another letter', async (t) => {
  for (const type of ['software_Package', 'ai_AIPackage', 'dataset_DatasetPackage']) {
    const { packages } = spdx3(part(type, { software_packageUrl: 'pkg:npm/left-pad@1.0.0' }));
    t.same(packages, [{ name: 'part', purls: ['pkg:npm/left-pad@1.0.0'], licences: [] }], type);
  }
  const hashed = (algorithm: string) =>
    spdx3(
      { type: 'SpdxDocument', spdxId: 'urn:document', rootElement: ['urn:part'] },
      part('software_Package', { verifiedUsing: [{ type: 'Hash', algorithm, hashValue: 'ab' }] }),
    ).described[0]?.checksums.get('SHA256');
  t.equal(hashed('sha256'), 'ab');
  t.throws(() => hashed('ſha256'), { code: 'E_SCHEMA' });
});

t.test('CycloneDX: an expression does not cover the licence beside it', async (t) => {
  const licences = [
    { expression: 'MIT', license: { id: 'GPL-3.0-only' } },
    { license: { name: 'Our own' } },
  ];
  const bill = {
    ...{ bomFormat: 'CycloneDX', specVersion: '1.6' },
    components: [{ name: 'part', licenses: licences }],
  };
  t.same(readCycloneDx(new Node(bill, 'bill')).packages[0]?.licences, [
    'MIT',
    'GPL-3.0-only',
    'LicenseRef-Our-own',
  ]);
});

t.test('SPDX 2: a package URL is one also where its type is written in full', async (t) => {
  const bill = {
    ...{ spdxVersion: 'SPDX-2.3', dataLicense: 'CC0-1.0', SPDXID: 'SPDXRef-DOCUMENT', name: 'x' },
    documentNamespace: 'https://acme.example/x',
    creationInfo: { created: '2030-01-31T12:00:00Z', creators: ['Tool: x'] },
    packages: [
      {
        ...{ SPDXID: 'SPDXRef-part', name: 'part', downloadLocation: 'NONE' },
        externalRefs: [
          {
            referenceType: 'http://spdx.org/rdf/references/purl',
            referenceLocator: 'pkg:npm/left-pad@1.0.0',
          },
        ],
      },
    ],
  };
  const [found] = readSpdx(new Node(bill, 'bill')).packages;
  t.same(found?.purls, ['pkg:npm/left-pad@1.0.0']);
});
