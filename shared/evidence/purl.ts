/** Package URLs: read by the library that knows their escapes, compared by us. */

import purl from 'packageurl-js';

export interface Purl {
  readonly type: string;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly version: string | undefined;
  /** By their keys in lower case; those without a value are not there (purl-spec). */
  readonly qualifiers: ReadonlyMap<string, string>;
  readonly subpath: string | undefined;
}

/** More is no name of anything, and would only be work. */
const LONGEST = 2048;

/** A key of a qualifier (purl-spec): never encoded, in letters of either case. */
const KEY = /^[A-Za-z][A-Za-z0-9._-]*$/;

/** The parts of a package URL, of which none is empty; undefined when the text is none. */
export function parsePurl(text: string): Purl | undefined {
  if (text.length > LONGEST || !text.startsWith('pkg:') || !hasPlainKeys(text)) return undefined;
  try {
    const parts = purl.PackageURL.fromString(text);
    const { type, namespace, name, version, qualifiers, subpath } = parts;
    // The library takes `npm/left-pad/@1.0.0` for a thing called `@1.0.0`, others for left-pad.
    if (!type || !name || name.includes('@')) return undefined;
    return {
      type,
      name,
      // Slashes that follow each other are one (purl-spec): `npm//left-pad` has no namespace.
      namespace: namespace || undefined,
      version: version || undefined,
      qualifiers: new Map(Object.entries(qualifiers ?? {})),
      subpath: subpath || undefined,
    };
  } catch {
    // What the library refuses is no package URL, for whichever of its reasons.
    return undefined;
  }
}

/** Whether each qualifier has a key, and one that no other has (purl-spec): of two, readers would choose. */
function hasPlainKeys(text: string): boolean {
  const [beforeSubpath = ''] = text.split('#', 1);
  const query = beforeSubpath.indexOf('?');
  if (query === -1) return true;
  const pairs = beforeSubpath.slice(query + 1).split('&');
  const keys = pairs.filter((pair) => pair !== '').map((pair) => pair.split('=', 1)[0] as string);
  const distinct = new Set(keys.map((key) => key.toLowerCase()));
  return keys.every((key) => KEY.test(key)) && distinct.size === keys.length;
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

/**
 * Whether `found` is, or may be, what `wanted` names: any version when `wanted` names none, and with
 * each qualifier that `wanted` has, or without a word of it. Whoever leaves a qualifier out has not
 * said that it is another one.
 */
export function isPackage(wanted: Purl, found: Purl): boolean {
  return (
    wanted.type === found.type &&
    wanted.namespace === found.namespace &&
    wanted.name === found.name &&
    (wanted.version === undefined || wanted.version === found.version) &&
    [...wanted.qualifiers].every(([key, value]) => {
      const said = found.qualifiers.get(key);
      return said === undefined || said === value || (key === 'checksum' && mayAgree(value, said));
    })
  );
}

/** Whether no algorithm of two `checksum` qualifiers, `sha1:00,sha256:00`, has a value of its own in each. */
function mayAgree(wanted: string, found: string): boolean {
  const digests = (text: string): [algorithm: string, digest: string][] =>
    text.split(',').map((one) => {
      const [algorithm = '', digest = ''] = one.trim().toLowerCase().split(':', 2);
      return [algorithm, digest];
    });
  const said = digests(found);
  return digests(wanted).every(([algorithm, digest]) => {
    const same = said.filter(([other]) => other === algorithm);
    return same.length === 0 || same.some(([, other]) => other === digest);
  });
}
