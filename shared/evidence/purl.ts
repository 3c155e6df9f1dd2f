/** Package URLs: read by the library that knows their escapes, compared by us. */

import purl from 'packageurl-js';

export interface Purl {
  readonly type: string;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly version: string | undefined;
  readonly subpath: string | undefined;
}

/** More is no name of anything, and would only be work. */
const LONGEST = 2048;

/** The parts of a package URL; undefined when the text is none. */
export function parsePurl(text: string): Purl | undefined {
  if (text.length > LONGEST || !text.startsWith('pkg:')) return undefined;
  try {
    const { type, namespace, name, version, subpath } = purl.PackageURL.fromString(text);
    if (type === undefined || name === undefined) return undefined;
    return {
      type,
      name,
      namespace: namespace ?? undefined,
      version: version ?? undefined,
      subpath: subpath ?? undefined,
    };
  } catch {
    // What the library refuses is no package URL, for whichever of its reasons.
    return undefined;
  }
}

/** A package URL as its specification writes it. `sha256` binds it to bytes. */
export function formatPurl(parts: {
  readonly type: string;
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly version?: string | undefined;
  readonly sha256?: string | undefined;
}): string {
  const { type, namespace, name, version, sha256 } = parts;
  const qualifiers = sha256 === undefined ? undefined : { checksum: `sha256:${sha256}` };
  return new purl.PackageURL(type, namespace, name, version, qualifiers, undefined).toString();
}

/** Whether `found` is what `wanted` names: any version when `wanted` names none. */
export function isPackage(wanted: Purl, found: Purl): boolean {
  return (
    wanted.type === found.type &&
    wanted.namespace === found.namespace &&
    wanted.name === found.name &&
    (wanted.version === undefined || wanted.version === found.version)
  );
}
