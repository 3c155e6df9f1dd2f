/**
 * The form of a bundle: an excerpt of a published tree in one file, for machines that no network
 * reaches. A line with the length of the index, the index, and the files in its order with nothing
 * between them; docs/reference/bundle.md has it in full.
 *
 * Nothing in it is believed. The index says where files lie, and each is then judged as if a
 * mirror had sent it.
 */

import { fromUtf8, utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import { parseMetadataPath, tree } from '../../shared/layout.ts';
import { BUNDLE_LIMITS, METADATA_LIMITS, SERVER_LIMITS } from '../../shared/limits.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import { parseTargetPath } from '../../shared/tuf/names.ts';

const SCHEMA = 'ironport.bundle/v1';
const MAGIC = 'ironport-bundle/v1';

/** A file of the bundle under its path in the tree. */
export interface BundleEntry {
  readonly path: string;
  readonly length: number;
}

export interface BundleIndex {
  /** When it was made, as whoever made it says. */
  readonly created: Instant;
  /** Target paths of the artifacts that it was made for, in order. */
  readonly artifacts: readonly string[];
  /** In the order of their paths, in which their bytes follow. */
  readonly files: readonly BundleEntry[];
}

/** Whether a file begins as a bundle does. */
export function isBundle(beginning: Uint8Array): boolean {
  const magic = utf8(`${MAGIC} `);
  return magic.every((byte, i) => beginning[i] === byte);
}

/** The length of the line before the index, and that of the index. `E_SCHEMA`, `E_TOO_LARGE`. */
export function parseHeader(beginning: Uint8Array): { readonly header: number; index: number } {
  const end = beginning.subarray(0, BUNDLE_LIMITS.header).indexOf(0x0a);
  const line = end === -1 || !isBundle(beginning) ? '' : fromUtf8(beginning.subarray(0, end));
  const [, digits] = /^\S+ ([1-9][0-9]{0,9})$/.exec(line) ?? [];
  if (digits === undefined) {
    throw new IronError('E_SCHEMA', 'this is not a bundle', {
      why: `it does not begin with \`${MAGIC}\` and the length of its index`,
      hint: 'nothing was changed; `ironport-client ADDRESS bundle create` makes bundles',
    });
  }
  if (Number(digits) > BUNDLE_LIMITS.index) {
    throw new IronError('E_TOO_LARGE', `the index of the bundle would have ${digits} bytes`, {
      why: `more than ${BUNDLE_LIMITS.index} are not read`,
      context: { limit: BUNDLE_LIMITS.index },
    });
  }
  return { header: end + 1, index: Number(digits) };
}

/** Reads an index. Its form is closed and has one spelling: what is not in order is refused. */
export function parseIndex(bytes: Uint8Array): BundleIndex {
  const node = new Node(parseJson(bytes, { length: BUNDLE_LIMITS.index }), 'bundle');
  node.only('schema', 'created', 'artifacts', 'files').get('schema').oneOf(SCHEMA);
  const created = node.get('created').instant();
  const names = node.get('artifacts').items(BUNDLE_LIMITS.artifacts);
  const artifacts = names.map((name) => parseTargetPath(name.string()));
  const entries = node.get('files').items(BUNDLE_LIMITS.files);
  const files = entries.map(parseEntry);
  if (artifacts.length === 0) throw node.get('artifacts').error('it is for no artifact');
  demandAscending(artifacts, names);
  demandAscending(
    files.map(({ path }) => path),
    entries,
  );
  const metadata = files.filter(({ path }) => isMetadata(path));
  if (metadata.reduce((sum, { length }) => sum + length, 0) > BUNDLE_LIMITS.metadata) {
    throw new IronError('E_TOO_LARGE', 'the bundle has too much metadata', {
      why: `more than ${BUNDLE_LIMITS.metadata} bytes in all`,
      context: { limit: BUNDLE_LIMITS.metadata },
    });
  }
  return { created, artifacts, files };
}

/** The line and the index, as they stand at the beginning of a file. */
export function formatBeginning({ created, artifacts, files }: BundleIndex): Uint8Array {
  const index = { schema: SCHEMA, created: formatInstant(created), artifacts, files };
  const bytes = utf8(`${JSON.stringify(index)}\n`);
  return utf8(`${MAGIC} ${bytes.length}\n${fromUtf8(bytes)}`);
}

export function isMetadata(path: string): boolean {
  return path.startsWith(`${tree.metadataFolder}/`);
}

/** In the order of code units, which is how the paths of an index are sorted. */
export function inOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function parseEntry(node: Node): BundleEntry {
  const path = node.only('path', 'length').get('path').string();
  return { path, length: node.get('length').integer(0, limitOf(node, path)) };
}

/** Most bytes that a file of this path may have; it must be a path of a tree. */
function limitOf(node: Node, path: string): number {
  if (path.startsWith(`${tree.targetsFolder}/`)) {
    parseTargetPath(path);
    return SERVER_LIMITS.artifact;
  }
  const found = parseMetadataPath(path);
  if (found === undefined) throw node.error('a path of metadata/ or targets/ is expected');
  const { role, version } = found;
  const spelt =
    version === undefined
      ? `${tree.metadataFolder}/${tree.unversioned(role)}`
      : tree.metadata(role, version);
  if (spelt !== path) throw node.error('the path is not spelt as the tree spells it');
  return Object.hasOwn(METADATA_LIMITS, role)
    ? METADATA_LIMITS[role as 'root' | 'timestamp' | 'snapshot' | 'targets']
    : METADATA_LIMITS.targets;
}

/** One order and nothing twice, in one rule. */
function demandAscending(values: readonly string[], nodes: readonly Node[]): void {
  for (let i = 1; i < values.length; i++) {
    if ((values[i - 1] as string) < (values[i] as string)) continue;
    throw (nodes[i] as Node).error('it does not come after the one before it');
  }
}
