/**
 * The canonical form of a snapshot, written straight from its list of roles. A snapshot is signed at
 * every publication and lists the bins of large vendors, of which hardly one in a thousand changed.
 */

import { concatBytes, utf8 } from '../bytes.ts';
import { canonicalBytes } from '../json/canonical.ts';
import { formatInstant, type Instant } from '../time.ts';
import { SPEC_VERSION, snapshotTree } from './build.ts';

/** The bytes that `canonicalBytes(snapshotTree(version, expires, roles))` gives, in any case. */
export function canonicalSnapshot(
  version: number,
  expires: Instant,
  roles: ReadonlyMap<string, number>,
): Uint8Array {
  const meta = plainMeta(roles);
  if (meta === undefined) return canonicalBytes(snapshotTree(version, expires, roles));
  return concatBytes(
    utf8(`{"_type":"snapshot","expires":"${formatInstant(expires)}","meta":{`),
    meta,
    utf8(`},"spec_version":"${SPEC_VERSION}","version":${version}}`),
  );
}

const BEHIND_NAME = utf8('.json":{"version":');
/** Beside the name: `,"`, what stands behind it, sixteen digits and `}`. */
const BESIDE_NAME = 2 + BEHIND_NAME.length + 16 + 1;
/** Of a name: `.json` decides where one name is the beginning of another. */
const SUFFIX = 5;

/**
 * The entries, written byte by byte: as texts put together they would take ten times as long.
 * Undefined unless all names are plain and stand in their order, as they do in what was read.
 */
function plainMeta(roles: ReadonlyMap<string, number>): Uint8Array | undefined {
  let room = 0;
  for (const role of roles.keys()) room += role.length + BESIDE_NAME;
  const bytes = new Uint8Array(room);
  let at = 0;
  /** Where the name before this one begins and where it ends, `.json` included. */
  let previous = { start: 0, end: 0 };
  for (const [role, version] of roles) {
    if (!Number.isSafeInteger(version)) return undefined;
    if (at > 0) bytes[at++] = 0x2c;
    bytes[at++] = 0x22;
    const start = at;
    for (let i = 0; i < role.length; i++) {
      const unit = role.charCodeAt(i);
      // A character that needs no escape, and of which one is one byte.
      if (unit < 0x20 || unit > 0x7e || unit === 0x22 || unit === 0x5c) return undefined;
      bytes[at++] = unit;
    }
    bytes.set(BEHIND_NAME, at);
    const name = { start, end: at + SUFFIX };
    if (!isBefore(bytes, previous, name)) return undefined;
    previous = name;
    at += BEHIND_NAME.length;
    const digits = `${version}`;
    for (let i = 0; i < digits.length; i++) bytes[at++] = digits.charCodeAt(i);
    bytes[at++] = 0x7d;
  }
  return bytes.subarray(0, at);
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** Whether the bytes of `a` stand before those of `b`; nothing stands before everything. */
function isBefore(bytes: Uint8Array, a: Span, b: Span): boolean {
  for (let i = 0; a.start + i < a.end; i++) {
    if (b.start + i >= b.end) return false;
    const one = bytes[a.start + i] as number;
    const other = bytes[b.start + i] as number;
    if (one !== other) return one < other;
  }
  return a.end - a.start < b.end - b.start;
}
