/**
 * The canonical form of a snapshot, written straight from its list of roles. A snapshot is signed at
 * every publication and lists the bins of large vendors, of which hardly one in a thousand changed.
 */

import { utf8 } from '../bytes.ts';
import { canonicalBytes } from '../json/canonical.ts';
import { formatInstant, type Instant } from '../time.ts';
import { SPEC_VERSION, snapshotTree } from './build.ts';

/** A name that needs no escape, and whose bytes have the order of its UTF-16 units. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** The bytes that `canonicalBytes(snapshotTree(version, expires, roles))` gives, in any case. */
export function canonicalSnapshot(
  version: number,
  expires: Instant,
  roles: ReadonlyMap<string, number>,
): Uint8Array {
  const meta = plainMeta(roles);
  if (meta === undefined) return canonicalBytes(snapshotTree(version, expires, roles));
  return utf8(
    `{"_type":"snapshot","expires":"${formatInstant(expires)}","meta":{${meta}},"spec_version":"${SPEC_VERSION}","version":${version}}`,
  );
}

/** Undefined unless all names are plain and stand in their order, as they do in what was read. */
function plainMeta(roles: ReadonlyMap<string, number>): string | undefined {
  let meta = '';
  let previous = '';
  for (const [role, version] of roles) {
    const file = `${role}.json`;
    if (file <= previous || !PLAIN.test(role) || !Number.isSafeInteger(version)) return undefined;
    meta += `${previous === '' ? '' : ','}"${file}":{"version":${version}}`;
    previous = file;
  }
  return meta;
}
