/**
 * A pattern: how the calls of a family of Linux drivers map to those of its port, and how sure
 * that is. The format is IronShim's, read as TOML 1.0 and closed: a misspelt `review_required`
 * must not read as one that nobody wrote.
 */

import { parse } from 'smol-toml';
import { fromHex, fromUtf8 } from '../../../shared/bytes.ts';
import { IronError } from '../../../shared/errors.ts';
import { Node } from '../../../shared/json/decode.ts';
import { type JsonValue, jsonObject } from '../../../shared/json/value.ts';
import { PIPELINE_LIMITS } from '../../../shared/limits.ts';
import { readLabel } from './label.ts';
import { isCName, isSymbol } from './names.ts';

/** Old name to new name, in the order of the file. */
export type Mapping = ReadonlyMap<string, string>;

/** What an entry says that nobody has decided yet. */
export const UNDECIDED = 'UNKNOWN';
export function isUndecided(to: string): boolean {
  return to === UNDECIDED;
}

/** What the metadata says of a version or a family that is not known. */
export const UNKNOWN_METADATA = 'unknown';

export interface Metadata {
  readonly version: string;
  readonly linuxVersion: string;
  readonly driverFamily: string;
  /** 0 to 1. */
  readonly confidence: number;
  readonly reviewRequired: boolean;
}

export interface BuildSettings {
  /** Whether the external build step is run, when one is configured. */
  readonly thinLto: boolean;
  /** Whether a result may be taken from the cache. */
  readonly incremental: boolean;
  /** Whether a result may be put into the cache. */
  readonly ltoCache: boolean;
}

/** An exact replacement in a file that is not text. */
export interface BinaryPatch {
  readonly name: string;
  readonly find: Uint8Array;
  /** Of the same length: nothing in the file moves. */
  readonly replace: Uint8Array;
  /** How often `find` must occur. */
  readonly count: number;
}

/** What the original driver was seen to touch: notes for whoever writes the ceiling. */
export interface ManifestNotes {
  readonly bars: readonly number[];
  readonly irqs: readonly (number | string)[];
}

export interface Signing {
  /** A signer, as `--key` takes it. */
  readonly key?: string;
  /** `sig2`, from IronShim: shared secrets, which are no signatures. Noted and not used. */
  readonly mode?: string;
}

export interface Pattern {
  readonly metadata: Metadata;
  readonly mapping: Mapping;
  readonly build: BuildSettings;
  readonly patches: readonly BinaryPatch[];
  readonly manifest: ManifestNotes;
  /** Absent: nothing is signed. */
  readonly signing: Signing | undefined;
  /** What was read and means nothing here, in sentences. */
  readonly notes: readonly string[];
}

const SECTIONS = [
  'metadata',
  'mapping',
  'build',
  'binary_patch',
  'manifest',
  'signing',
  'stealth',
] as const;

/** Reads a pattern file. `E_TOO_LARGE`, `E_SCHEMA`. */
export function parsePattern(bytes: Uint8Array, what = 'pattern'): Pattern {
  const root = parseToml(bytes, what).only(...SECTIONS);
  const { patches, notes } = parsePatches(root.maybe('binary_patch'));
  const signing = parseSigning(root.maybe('signing'));
  if (signing?.mode !== undefined)
    notes.push(`signing.mode = "${signing.mode}" is IronShim's and is not used: a signer is a key`);
  // Whatever stands in it: IronShim wrote the section and slept for a tenth of a second.
  if (root.maybe('stealth') !== undefined) notes.push('[stealth] does nothing');
  return {
    metadata: parseMetadata(root.get('metadata')),
    mapping: parseMapping(root.maybe('mapping')),
    build: parseBuild(root.maybe('build')),
    patches,
    manifest: parseManifest(root.maybe('manifest')),
    signing,
    notes,
  };
}

/** The document as a tree like that of the JSON reader. */
export function parseToml(bytes: Uint8Array, what: string): Node {
  if (bytes.length > PIPELINE_LIMITS.pattern) {
    throw new IronError('E_TOO_LARGE', `${what} has more than ${PIPELINE_LIMITS.pattern} bytes`);
  }
  try {
    return new Node(toTree(parse(fromUtf8(bytes), { maxDepth: 8 })), what);
  } catch (cause) {
    if (cause instanceof IronError && cause.code === 'E_SCHEMA') throw cause;
    // The library's own errors, and the end of the stack on names like a.a.a.a…
    const message = cause instanceof Error ? cause.message.split('\n', 1)[0] : String(cause);
    const place = isPlaced(cause) ? ` at line ${cause.line}, column ${cause.column}` : '';
    throw new IronError('E_SCHEMA', `${what} is not TOML${place}: ${message}`, { cause });
  }
}

function isPlaced(error: unknown): error is { line: number; column: number } {
  return error instanceof Error && 'line' in error && 'column' in error;
}

/** TOML's values as those of JSON; times, which no field of a pattern has, are refused. */
function toTree(value: unknown): JsonValue {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value;
  if (Array.isArray(value)) return value.map(toTree);
  if (typeof value === 'object' && value !== null && !(value instanceof Date))
    return jsonObject(Object.entries(value).map(([key, member]) => [key, toTree(member)]));
  throw new IronError('E_SCHEMA', 'a time is no value of any field of a pattern');
}

function parseMetadata(node: Node): Metadata {
  node.only('version', 'linux_version', 'driver_family', 'confidence', 'review_required');
  const label = (field: string): string | undefined => {
    const found = node.maybe(field);
    return found && readLabel(found);
  };
  return {
    version: readLabel(node.get('version')),
    linuxVersion: label('linux_version') ?? UNKNOWN_METADATA,
    driverFamily: label('driver_family') ?? UNKNOWN_METADATA,
    // What is not said counts against it: IronShim took an absent review_required for false.
    confidence: parseConfidence(node.maybe('confidence')),
    reviewRequired: node.maybe('review_required')?.boolean() ?? true,
  };
}

/** `0.85` or `"0.85"`. */
function parseConfidence(node: Node | undefined): number {
  if (node === undefined) return 0;
  const { value } = node;
  const number =
    typeof value === 'string' && /^(0|1)(\.\d{1,15})?$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !(number >= 0 && number <= 1))
    throw node.error('a number from 0 to 1 is expected');
  return number;
}

function parseMapping(node: Node | undefined): Mapping {
  const mapping = new Map<string, string>();
  for (const [from, member] of node?.entries(PIPELINE_LIMITS.mapping) ?? []) {
    if (!isSymbol(from)) throw member.error('the key is no name of a function or symbol');
    if (typeof member.value === 'object')
      throw member.error('a string is expected; a name with dots is written in quotes');
    const to = member.string();
    // A C name must become one: anything else would not be a call any more.
    if (!isSymbol(to) || (isCName(from) && !isCName(to)))
      throw member.error('the value is no name that can be called');
    mapping.set(from, to);
  }
  return mapping;
}

function parseBuild(node: Node | undefined): BuildSettings {
  node?.only('thin_lto', 'incremental', 'lto_cache');
  const setting = (key: string): boolean => node?.maybe(key)?.boolean() ?? true;
  return {
    thinLto: setting('thin_lto'),
    incremental: setting('incremental'),
    ltoCache: setting('lto_cache'),
  };
}

function parsePatches(node: Node | undefined): { patches: BinaryPatch[]; notes: string[] } {
  const patches: BinaryPatch[] = [];
  let ignored = 0;
  for (const [name, member] of node?.entries(PIPELINE_LIMITS.mapping) ?? []) {
    // IronShim copied the mapping here and never read it.
    if (typeof member.value === 'string') ignored++;
    else patches.push(parsePatch(name, member));
  }
  if (patches.length > PIPELINE_LIMITS.patches)
    throw new IronError('E_SCHEMA', `more than ${PIPELINE_LIMITS.patches} binary patches`);
  const note = `${ignored} entries of [binary_patch] are names without bytes, as IronShim wrote them: not used`;
  return { patches, notes: ignored > 0 ? [note] : [] };
}

function parsePatch(name: string, node: Node): BinaryPatch {
  node.only('find', 'replace', 'count');
  const find = parseHex(node.get('find'));
  const replace = parseHex(node.get('replace'));
  if (find.length !== replace.length)
    throw node.error('find and replace have different lengths: everything behind would move');
  return { name, find, replace, count: node.maybe('count')?.integer(1, 0xffff_ffff) ?? 1 };
}

/** `"48 8b 05"`, upper or lower case. */
function parseHex(node: Node): Uint8Array {
  const text = node.matching(/^[0-9A-Fa-f]{2}( ?[0-9A-Fa-f]{2})*$/, 'bytes such as "48 8b 05"');
  const bytes = fromHex(text.replaceAll(' ', '').toLowerCase());
  if (bytes.length > PIPELINE_LIMITS.patch)
    throw node.error(`more than ${PIPELINE_LIMITS.patch} bytes`);
  return bytes;
}

function parseManifest(node: Node | undefined): ManifestNotes {
  node?.only('bars', 'irqs');
  return {
    bars:
      node
        ?.maybe('bars')
        ?.items(1024)
        .map((item) => item.integer(0)) ?? [],
    irqs:
      node
        ?.maybe('irqs')
        ?.items(1024)
        .map((item) =>
          typeof item.value === 'number' ? item.integer(0) : item.oneOf('intx', 'msi', 'msix'),
        ) ?? [],
  };
}

function parseSigning(node: Node | undefined): Signing | undefined {
  if (node === undefined) return undefined;
  node.only('key', 'mode');
  const key = node.maybe('key')?.string();
  const mode = node.maybe('mode')?.oneOf('sig2');
  return { ...(key !== undefined && { key }), ...(mode !== undefined && { mode }) };
}
