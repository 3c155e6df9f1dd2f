/**
 * A release of in-toto says "this package, at this version, is exactly these files". Here its package
 * URL is held to the target path of a file that it is about. Only what contradicts is refused: names
 * that others give, a registry or a distribution, cannot contradict those that a vendor has here.
 */

import { parseArtifactPath } from '../tuf/names.ts';
import type { Purl } from './purl.ts';

/** Of no registry: whoever makes such a package URL chooses its names (purl-spec, `generic`). */
const OWN_NAMES = 'generic';

/**
 * Types whose version is not the one that the package's authors gave it (purl-spec, PURL-TYPES): a
 * digest, a commit or a tag; the distribution's own epoch and revision; a `v` that must stand before.
 */
const OTHER_VERSIONS: ReadonlySet<string> = new Set([
  ...['oci', 'docker', 'github', 'gitlab', 'bitbucket', 'huggingface'],
  ...['deb', 'rpm', 'apk', 'alpm'],
  'golang',
]);

/** What in the package URL of a release is not what the path says; undefined when nothing is. */
export function releaseContradicts(purl: Purl, path: string): string | undefined {
  const { vendor, product, version, file } = parseArtifactPath(path);
  const { type, namespace, name, subpath } = purl;
  const differs = (what: string, found: string, here: string): string =>
    `its ${what} is ${JSON.stringify(found.slice(0, 100))}, and here it is ${JSON.stringify(here)}`;
  if (type === OWN_NAMES) {
    // What follows the vendor in a namespace is the vendor's to choose.
    const [owner] = namespace?.split('/') ?? [];
    if (owner !== undefined && owner !== vendor) return differs('vendor', owner, vendor);
    if (name !== product) return differs('product', name, product);
    if (subpath !== undefined && subpath !== file) return differs('file', subpath, file);
  }
  if (OTHER_VERSIONS.has(type)) return undefined;
  const found = purl.version ?? '';
  return found === version ? undefined : differs('version', found, version);
}
