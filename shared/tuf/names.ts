/**
 * Names from outside: what they may be, and how they become file names. A name is never a path
 * before it went through `encodeRoleName` or `encodeSegment`; whoever then touches a disk still
 * checks that the resolved place is inside its folder.
 */

import { utf8 } from '../bytes.ts';
import { IronError } from '../errors.ts';
import { NAME_LIMITS } from '../limits.ts';

export const TOP_LEVEL_ROLES = ['root', 'targets', 'snapshot', 'timestamp'] as const;
export type TopLevelRole = (typeof TOP_LEVEL_ROLES)[number];

const RESERVED: readonly string[] = [...TOP_LEVEL_ROLES, 'mirrors', 'revocations'];

export function isTopLevelRole(name: string): name is TopLevelRole {
  return (TOP_LEVEL_ROLES as readonly string[]).includes(name);
}

/** A vendor's name, which is also its role and the first segment of its paths. `E_NAME`. */
export function parseVendorName(name: string): string {
  if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(name)) {
    throw new IronError('E_NAME', `not a vendor name: ${quoted(name)}`, {
      hint: 'use 1 to 32 of a-z, 0-9 and -, beginning with a letter or digit',
    });
  }
  if (RESERVED.includes(name))
    throw new IronError('E_NAME', `the name ${quoted(name)} is reserved`);
  return name;
}

/** What the names of a vendor's hash bins begin with: another number of bins is other roles. */
export function binPrefix(vendor: string, bitLength: number): string {
  return `${vendor}.b${bitLength}`;
}

/** The vendor in whose branch a role is: `acme` for `acme` and `acme.b8-0f`. */
export function vendorOfRole(role: string): string {
  const dot = role.indexOf('.');
  return dot === -1 ? role : role.slice(0, dot);
}

/** The parts of a target path of ours, `<vendor>/<product>/<version>/<file>`. */
export interface ArtifactPath {
  readonly vendor: string;
  readonly product: string;
  readonly version: string;
  readonly file: string;
}

/** Takes `<vendor>/<product>/<version>/<file>` apart; `E_NAME` when it is not of that form. */
export function parseArtifactPath(path: string): ArtifactPath {
  const [vendor, product, version, file, ...rest] = parseTargetPath(path).split('/');
  if (
    vendor === undefined ||
    product === undefined ||
    version === undefined ||
    file === undefined ||
    rest.length > 0
  ) {
    throw new IronError('E_NAME', `not <vendor>/<product>/<version>/<file>: ${quoted(path)}`);
  }
  parseVendorName(vendor);
  for (const segment of [product, version, file]) {
    if (segment.length > NAME_LIMITS.segment)
      throw new IronError('E_NAME', `the path segment ${quoted(segment)} is too long`, {
        why: `in the tree it is a folder or a file, with a name of at most ${NAME_LIMITS.segment} bytes`,
      });
    if (!/^[A-Za-z0-9][A-Za-z0-9._+~-]*$/.test(segment)) {
      throw new IronError(
        'E_NAME',
        `the path segment ${quoted(segment)} is not of A-Z a-z 0-9 . _ + ~ -`,
      );
    }
  }
  return { vendor, product, version, file };
}

/**
 * Any target path that this project handles, also of repositories that are not ours: relative,
 * `/`-separated (TUF 4.5 PATH), without empty, `.` and `..` segments, control characters and
 * backslashes. `E_NAME` otherwise.
 */
export function parseTargetPath(path: string): string {
  const bad = (why: string): IronError =>
    new IronError('E_NAME', `not a target path, ${why}: ${quoted(path)}`);
  if (path.length === 0 || utf8(path).length > NAME_LIMITS.targetPath)
    throw bad('empty or too long');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (/[\u0000-\u001f\u007f\\]/.test(path)) throw bad('it has a control character or a backslash');
  if (path.split('/').some((part) => part === '' || part === '.' || part === '..')) {
    throw bad('it has an empty, "." or ".." segment');
  }
  return path;
}

/**
 * The name of a role in URLs and in file names: everything but the unreserved characters of RFC
 * 3986 is percent-encoded, as the other clients of the field do it (TUF leaves it open). With
 * `.json` behind it the result is one plain path segment, also for `..`.
 */
export function encodeRoleName(role: string): string {
  if (role === '' || !role.isWellFormed())
    throw new IronError('E_NAME', `not a role name: ${quoted(role)}`);
  const encoded = encodeURIComponent(role).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  if (encoded.length + '9007199254740991..json'.length > NAME_LIMITS.segment) {
    throw new IronError('E_NAME', `the role name ${quoted(role)} is too long for a file name`);
  }
  return encoded;
}

/** The role whose encoded name this is; undefined for text that no role's name encodes to. */
export function decodeRoleName(encoded: string): string | undefined {
  try {
    const role = decodeURIComponent(encoded);
    return encodeRoleName(role) === encoded ? role : undefined;
  } catch {
    return undefined;
  }
}

/** A whole target path as one file name, for flat stores; `E_NAME` when a disk cannot hold it. */
export function encodePathAsSegment(path: string): string {
  return encodeRoleName(path);
}

export function quoted(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}
