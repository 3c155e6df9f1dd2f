/** A bill as SPDX 3.0.1 in JSON-LD: the fixed context, and a flat graph. */

import type { JsonObject } from '../../json/value.ts';
import { formatInstant } from '../../time.ts';
import { compactJson } from '../compact.ts';
import { SPDX } from '../identifiers.ts';
import { SPDX3_CONTEXT } from '../spdx3.ts';
import { type Bill, type Component, subjectOf } from './bill.ts';
import { containedIn } from './write-spdx2.ts';

const PURPOSES: Readonly<Record<Component['purpose'], string>> = {
  'device-driver': 'deviceDriver',
  library: 'library',
  application: 'application',
  'operating-system': 'operatingSystem',
  files: 'other',
};
const CREATION = '_:creation';

export function writeSpdx3(bill: Bill, digest: string): Uint8Array {
  const at = (id: string): string => `${SPDX.namespace}${digest}/${id}`;
  const element = (type: string, id: string, members: JsonObject): JsonObject => ({
    type,
    spdxId: at(id),
    creationInfo: CREATION,
    ...members,
  });
  const subject = subjectOf(bill);
  const { supplier, components, files } = bill;
  const graph: JsonObject[] = [
    {
      type: 'CreationInfo',
      '@id': CREATION,
      specVersion: '3.0.1',
      created: formatInstant(bill.created),
      createdBy: [at('ironport')],
    },
    element('SoftwareAgent', 'ironport', { name: 'ironport' }),
    ...(supplier === undefined ? [] : [element('Organization', 'supplier', { name: supplier })]),
    ...components.map((one) =>
      element('software_Package', one.id, {
        ...packageOf(one),
        ...(one === subject && supplier !== undefined && { suppliedBy: at('supplier') }),
      }),
    ),
    ...components.flatMap((one) =>
      one.facts.map(([name, value], i) =>
        element('Annotation', `${one.id}-fact-${i}`, {
          annotationType: 'other',
          subject: at(one.id),
          statement: `${name}: ${value}`,
        }),
      ),
    ),
    ...files.map(({ name, sha1, sha256 }, i) =>
      element('software_File', `File-${i}`, {
        name,
        verifiedUsing: [hash('sha1', sha1), hash('sha256', sha256)],
      }),
    ),
  ];
  let count = 0;
  const relate = (from: string, relationshipType: string, to: readonly string[]): void => {
    if (to.length === 0) return;
    const members = { from: at(from), relationshipType, to: to.map(at) };
    graph.push(element('Relationship', `relationship-${count++}`, members));
  };
  for (const { id, needs } of components) relate(id, 'dependsOn', needs);
  const inside = [...files.map((_, i) => `File-${i}`), ...containedIn(bill)];
  relate(subject.id, 'contains', inside);

  const licences = new Map<string, string>();
  const licenceId = (expression: string): string => {
    const known = licences.get(expression) ?? `licence-${licences.size}`;
    licences.set(expression, known);
    return known;
  };
  for (const { id, licence } of components)
    if (licence !== undefined) relate(id, 'hasDeclaredLicense', [licenceId(licence)]);
  for (const [i, { licences: found }] of files.entries())
    relate(`File-${i}`, 'hasDeclaredLicense', found.map(licenceId));
  for (const { id, text } of bill.otherLicences)
    graph.push(
      element('simplelicensing_SimpleLicensingText', id, { simplelicensing_licenseText: text }),
    );
  for (const [expression, id] of licences) {
    const others = bill.otherLicences.filter((other) => expression.split(' ').includes(other.id));
    graph.push(
      element('simplelicensing_LicenseExpression', id, {
        simplelicensing_licenseExpression: expression,
        ...(others.length > 0 && {
          simplelicensing_customIdToUri: others.map((other) => ({
            type: 'DictionaryEntry',
            key: other.id,
            value: at(other.id),
          })),
        }),
      }),
    );
  }

  const all = graph.flatMap(({ spdxId }) => (typeof spdxId === 'string' ? [spdxId] : []));
  graph.push(
    element('software_Sbom', 'sbom', {
      software_sbomType: ['analyzed'],
      rootElement: [at(subject.id)],
      element: all,
    }),
    element('SpdxDocument', 'document', {
      name: subject.version === undefined ? subject.name : `${subject.name}-${subject.version}`,
      profileConformance: ['core', 'software', 'simpleLicensing'],
      rootElement: [at('sbom'), at(subject.id)],
      element: [...all, at('sbom')],
    }),
  );
  return compactJson({ '@context': SPDX3_CONTEXT, '@graph': graph });
}

const hash = (algorithm: string, hashValue: string): JsonObject => ({
  type: 'Hash',
  algorithm,
  hashValue,
});

function packageOf({
  name,
  version,
  fileName,
  sha256,
  sha512,
  purl,
  purpose,
}: Component): JsonObject {
  const sums = [
    ...(sha256 === undefined ? [] : [hash('sha256', sha256)]),
    ...(sha512 === undefined ? [] : [hash('sha512', sha512)]),
  ];
  return {
    name,
    ...(version !== undefined && { software_packageVersion: version }),
    ...(purl !== undefined && { software_packageUrl: purl }),
    ...(fileName !== undefined && fileName !== name && { description: `the file ${fileName}` }),
    software_primaryPurpose: PURPOSES[purpose],
    ...(sums.length > 0 && { verifiedUsing: sums }),
  };
}
