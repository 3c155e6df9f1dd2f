/**
 * The parts of an SPDX 2.3 document of which it has thousands, read where nothing is wrong with them.
 * Each function returns what the reader of `spdx.ts` makes of the same value, or undefined for every
 * value that is anything but plain: that reader then takes it, or says what is wrong and where.
 */

import { isJsonObject, type JsonObject, type JsonValue } from '../json/value.ts';
import { type SbomPackage, saysLicence } from './sbom.ts';

export const ELEMENT_ID = /^SPDXRef-[A-Za-z0-9.-]+$/;
export const CHECKSUM = /^[0-9a-f]+$/;

/** More of one element are compared by the other reader, whose cost does not go with their square. */
const CHECKSUMS = 8;

/** The identifier of a package of which all that is asked of an element holds. */
export function plainPackageId(value: JsonValue): string | undefined {
  if (!isJsonObject(value)) return undefined;
  const { SPDXID: id, name, downloadLocation, checksums } = value;
  const isPlain =
    typeof downloadLocation === 'string' &&
    typeof name === 'string' &&
    (checksums === undefined || areChecksums(checksums));
  return isPlain && isElementId(id) ? id : undefined;
}

export function plainFileId(value: JsonValue): string | undefined {
  if (!isJsonObject(value)) return undefined;
  const { SPDXID: id, fileName, checksums } = value;
  const isPlain = typeof fileName === 'string' && areChecksums(checksums);
  return isPlain && isElementId(id) ? id : undefined;
}

function isElementId(id: JsonValue | undefined): id is string {
  return typeof id === 'string' && ELEMENT_ID.test(id);
}

function areChecksums(list: JsonValue | undefined): boolean {
  if (!Array.isArray(list) || list.length > CHECKSUMS) return false;
  for (let i = 0; i < list.length; i++) {
    const item: JsonValue = list[i];
    if (!isJsonObject(item)) return false;
    const { algorithm, checksumValue } = item;
    if (typeof algorithm !== 'string' || typeof checksumValue !== 'string') return false;
    if (!CHECKSUM.test(checksumValue)) return false;
    for (let j = 0; j < i; j++) if (list[j].algorithm === algorithm) return false;
  }
  return true;
}

export function plainContents(value: JsonValue): SbomPackage | undefined {
  if (!isJsonObject(value)) return undefined;
  const { name, versionInfo: version, licenseConcluded, licenseDeclared } = value;
  if (typeof name !== 'string') return undefined;
  if (version !== undefined && typeof version !== 'string') return undefined;
  // Not `??`: a member that is null is there, and no string.
  const concluded = licenseConcluded === undefined ? '' : licenseConcluded;
  const declared = licenseDeclared === undefined ? '' : licenseDeclared;
  if (typeof concluded !== 'string' || typeof declared !== 'string') return undefined;
  const purls = plainPurls(value.externalRefs);
  if (purls === undefined) return undefined;
  const licence = saysLicence(concluded) ? concluded : declared;
  const licences = saysLicence(licence) ? [licence] : [];
  return version === undefined ? { name, purls, licences } : { name, version, purls, licences };
}

/** SPDX 2.3, annex F.3.5: `purl`, or the URI for which that is short. */
export function isPurlType(type: string): boolean {
  return type === 'purl' || type === 'http://spdx.org/rdf/references/purl';
}

function plainPurls(references: JsonValue | undefined): string[] | undefined {
  if (references === undefined) return [];
  if (!Array.isArray(references)) return undefined;
  let purls: string[] | undefined;
  for (const reference of references as readonly JsonValue[]) {
    if (!isJsonObject(reference)) return undefined;
    const { referenceLocator: locator, referenceType: type } = reference;
    if (typeof locator !== 'string' || typeof type !== 'string') return undefined;
    if (!isPurlType(type)) continue;
    // A literal has room for the one that most packages have, where `push` makes some for 17.
    if (purls === undefined) purls = [locator];
    else purls.push(locator);
  }
  return purls ?? [];
}

export interface Relationship {
  readonly spdxElementId: string;
  readonly relationshipType: string;
  readonly relatedSpdxElement: string;
}

export function plainRelationship(value: JsonValue | undefined): Relationship | undefined {
  const isPlain =
    isJsonObject(value) &&
    typeof value.spdxElementId === 'string' &&
    typeof value.relationshipType === 'string' &&
    typeof value.relatedSpdxElement === 'string';
  return isPlain ? (value as JsonObject & Relationship) : undefined;
}
