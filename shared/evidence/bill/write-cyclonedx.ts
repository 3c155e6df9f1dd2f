/** A bill as CycloneDX 1.6 in JSON. What is not known is left out, which is its way to say so. */

import type { JsonObject } from '../../json/value.ts';
import { formatInstant } from '../../time.ts';
import { compactJson } from '../compact.ts';
import { type Bill, type BillFile, type Component, type OtherLicence, subjectOf } from './bill.ts';

export function writeCycloneDx(bill: Bill, digest: string): Uint8Array {
  const subject = subjectOf(bill);
  const supplier = bill.supplier === undefined ? {} : { supplier: { name: bill.supplier } };
  const others = bill.components.slice(1);
  return compactJson({
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuid(digest)}`,
    version: 1,
    metadata: {
      timestamp: formatInstant(bill.created),
      tools: { components: [{ type: 'application', name: 'ironport' }] },
      component: { ...componentOf(subject, bill.otherLicences), ...supplier },
      ...supplier,
    },
    components: [
      ...others.map((one) => componentOf(one, bill.otherLicences)),
      ...bill.files.map(fileOf),
    ],
    dependencies: [...bill.components.map(({ id, needs }) => ({ ref: id, dependsOn: [...needs] }))],
  });
}

/** A UUID that is made of a digest (RFC 9562 5.8): the same document has the same. */
function uuid(digest: string): string {
  const variant = '89ab'[Number.parseInt(digest[16] as string, 16) % 4];
  const text = `${digest.slice(0, 12)}8${digest.slice(13, 16)}${variant}${digest.slice(17, 32)}`;
  return [0, 8, 12, 16, 20, 32]
    .map((at, i, cuts) => text.slice(at, cuts[i + 1]))
    .filter((part) => part !== '')
    .join('-');
}

function componentOf(one: Component, otherLicences: readonly OtherLicence[]): JsonObject {
  const { version, sha256, sha512, licence, purl, facts } = one;
  const hashes = [
    ...(sha256 === undefined ? [] : [{ alg: 'SHA-256', content: sha256 }]),
    ...(sha512 === undefined ? [] : [{ alg: 'SHA-512', content: sha512 }]),
  ];
  return {
    type: one.purpose === 'files' ? 'application' : one.purpose,
    'bom-ref': one.id,
    name: one.name,
    ...(version !== undefined && { version }),
    ...(hashes.length > 0 && { hashes }),
    ...(licence !== undefined && { licenses: licencesOf(licence, otherLicences) }),
    ...(purl !== undefined && { purl }),
    ...(facts.length > 0 && {
      properties: facts.map(([name, value]) => ({ name: `ironport:${name}`, value })),
    }),
  };
}

/** A licence of which SPDX has no name stands by its own; CycloneDX has no place for its text else. */
function licencesOf(expression: string, others: readonly OtherLicence[]): JsonObject[] {
  const names = expression.split(' AND ');
  const texts = names.map((name) => others.find(({ id }) => id === name)?.text);
  if (texts.every((text) => text === undefined)) return [{ expression }];
  return names.map((name, i) => ({ license: { name: texts[i] ?? name } }));
}

function fileOf({ name, sha1, sha256, licences }: BillFile, index: number): JsonObject {
  return {
    type: 'file',
    'bom-ref': `File-${index}`,
    name,
    hashes: [
      { alg: 'SHA-1', content: sha1 },
      { alg: 'SHA-256', content: sha256 },
    ],
    ...(licences.length === 1 && { licenses: [{ expression: licences[0] as string }] }),
    ...(licences.length > 1 && {
      licenses: [{ expression: licences.map((one) => `(${one})`).join(' AND ') }],
    }),
  };
}
