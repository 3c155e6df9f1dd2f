/**
 * The index of a product, `<vendor>/<product>/index/index.json`: which versions there are, for
 * which devices, in which channel and for how many hosts. It is a target of the vendor's role like
 * any other, so it is read only after it verified; the format is closed all the same, because a
 * field that this reader does not know could be a condition that it would not keep.
 */

import { utf8 } from '../bytes.ts';
import { IronError } from '../errors.ts';
import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import { type JsonObject, jsonObject } from '../json/value.ts';
import { indexPath, sidecarOf } from '../layout.ts';
import { INDEX_LIMITS } from '../limits.ts';
import { type DeviceMatch, deviceMatchJson, parseDeviceMatch } from '../manifest/device.ts';
import { formatInstant, type Instant } from '../time.ts';
import { parseArtifactPath } from '../tuf/names.ts';

export const INDEX_SCHEMA = 'ironport.index/v1';

/** From the least tried to the most: a host of one channel takes what is in the later ones too. */
export const CHANNELS = ['testing', 'stable'] as const;
export type Channel = (typeof CHANNELS)[number];

export interface Withdrawn {
  readonly at: Instant;
  readonly reason: string;
  /** The version to take instead, when there is one. */
  readonly supersededBy?: string;
}

/** One artifact of the product. Several may have one version: files for different devices. */
export interface IndexEntry {
  /** Target path of the artifact. */
  readonly path: string;
  /** Its third segment. */
  readonly version: string;
  readonly length: number;
  readonly sha256: string;
  readonly channel: Channel;
  /** 0 to 100: of a hundred hosts, how many take it. */
  readonly rolloutPercent: number;
  readonly devices: readonly DeviceMatch[];
  readonly abi: { readonly min: number; readonly max: number };
  /** Security generation. */
  readonly generation: number;
  readonly released: Instant;
  readonly notes: string;
  readonly fixes: readonly string[];
  readonly withdrawn?: Withdrawn;
}

export interface ProductIndex {
  readonly vendor: string;
  readonly product: string;
  /** Rises by every change. */
  readonly revision: number;
  /** In the order of their release, the newest last: that order decides, not the versions' names. */
  readonly entries: readonly IndexEntry[];
}

/**
 * Reads the index that stands at `path`. Throws `E_JSON`, `E_SCHEMA`, `E_TOO_LARGE`, and `E_NAME`
 * about paths.
 */
export function parseIndex(bytes: Uint8Array, path: string): ProductIndex {
  const { vendor, product } = parseArtifactPath(path);
  const node = new Node(parseJson(bytes, { length: INDEX_LIMITS.file }), path);
  node
    .only('schema', 'vendor', 'product', 'revision', 'versions')
    .get('schema')
    .oneOf(INDEX_SCHEMA);
  // The index of another product, signed by the same vendor, must not pass for this one.
  node.get('vendor').oneOf(vendor);
  node.get('product').oneOf(product);
  const list = node.get('versions');
  const entries = list.items(INDEX_LIMITS.versions).map((item) => parseEntry(item, path));
  if (new Set(entries.map((entry) => entry.path)).size !== entries.length) {
    throw list.error('a path stands twice');
  }
  for (const [i, { generation }] of entries.entries()) {
    // An agent's generation floor is one for the product: what falls behind could not be taken.
    if (i > 0 && generation < (entries[i - 1] as IndexEntry).generation) {
      throw list.error(`the generation of item ${i} is lower than that of the one before it`);
    }
  }
  return { vendor, product, revision: node.get('revision').integer(1), entries };
}

function parseEntry(node: Node, index: string): IndexEntry {
  node.only('path', 'length', 'sha256', 'channel', 'rollout_percent', 'devices', 'abi', ...REST);
  const path = node.get('path').string();
  const name = parseArtifactPath(path);
  if (indexPath(name.vendor, name.product) !== index || path === index || sidecarOf(path)) {
    throw node.get('path').error('an artifact of this product is expected');
  }
  const devices = node.get('devices').items(INDEX_LIMITS.devices).map(parseDeviceMatch);
  if (devices.length === 0) throw node.get('devices').error('a driver is for some device');
  const abi = node.get('abi').only('min', 'max');
  const min = abi.get('min').integer(1, 0xffff_ffff);
  const withdrawn = node.maybe('withdrawn');
  return {
    path,
    version: name.version,
    length: node.get('length').integer(0),
    sha256: node.get('sha256').matching(/^[0-9a-f]{64}$/, 'a SHA-256 digest'),
    channel: node.get('channel').oneOf(...CHANNELS),
    rolloutPercent: node.get('rollout_percent').integer(0, 100),
    devices,
    abi: { min, max: abi.get('max').integer(min, 0xffff_ffff) },
    generation: node.get('generation').integer(1),
    released: node.get('released').instant(),
    notes: text(node.get('notes'), INDEX_LIMITS.notes),
    fixes: node.get('fixes').items(INDEX_LIMITS.fixes).map(parseFix),
    ...(withdrawn === undefined ? {} : { withdrawn: parseWithdrawn(withdrawn) }),
  };
}

const REST = ['generation', 'released', 'notes', 'fixes', 'withdrawn'] as const;

function parseWithdrawn(node: Node): Withdrawn {
  node.only('at', 'reason', 'superseded_by');
  const supersededBy = node.maybe('superseded_by')?.string();
  return {
    at: node.get('at').instant(),
    reason: text(node.get('reason'), INDEX_LIMITS.reason, 1),
    ...(supersededBy === undefined ? {} : { supersededBy }),
  };
}

const CVE = /^CVE-[0-9]{4}-[0-9]{4,19}$/;

function parseFix(node: Node): string {
  return node.matching(CVE, 'a text like CVE-2030-12345');
}

/** Whether `text` is the name of a vulnerability as the index lists it. */
export function isCve(text: string): boolean {
  return CVE.test(text);
}

/** Text for people. Control characters could make a terminal say something else. */
function text(node: Node, most: number, least = 0): string {
  const value = node.string();
  if (!isPlain(value)) throw node.error('text without control characters is expected');
  if (value.length < least || value.length > most) {
    throw node.error(`text of ${least} to ${most} characters is expected`);
  }
  return value;
}

/** Whether a text for people may stand in an index; lines may end, and be indented. */
export function isPlain(value: string): boolean {
  return (
    value.isWellFormed() && !/[^\P{Cc}\n\t]|[\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(value)
  );
}

/** The file as it is signed and published. `E_TOO_LARGE` over what is read. */
export function formatIndex(index: ProductIndex): Uint8Array {
  const { vendor, product, revision, entries } = index;
  const versions = entries.map(entryJson);
  const tree = { schema: INDEX_SCHEMA, vendor, product, revision, versions };
  const bytes = utf8(`${JSON.stringify(tree)}\n`);
  // It must be one that hosts take: written badly, it is found out here and not by them.
  parseIndex(bytes, indexPath(vendor, product));
  return bytes;
}

/** An entry as the file and `--json` have it. */
export function entryJson(entry: IndexEntry): JsonObject {
  const { withdrawn } = entry;
  return jsonObject([
    ['path', entry.path],
    ['length', entry.length],
    ['sha256', entry.sha256],
    ['channel', entry.channel],
    ['rollout_percent', entry.rolloutPercent],
    ['devices', entry.devices.map(deviceMatchJson)],
    ['abi', { min: entry.abi.min, max: entry.abi.max }],
    ['generation', entry.generation],
    ['released', formatInstant(entry.released)],
    ['notes', entry.notes],
    ['fixes', [...entry.fixes]],
    ...(withdrawn === undefined ? [] : [['withdrawn', withdrawnJson(withdrawn)] as const]),
  ]);
}

function withdrawnJson({ at, reason, supersededBy }: Withdrawn): JsonObject {
  return jsonObject([
    ['at', formatInstant(at)],
    ['reason', reason],
    ...(supersededBy === undefined ? [] : [['superseded_by', supersededBy] as const]),
  ]);
}

/** The product whose index stands at `path`, or undefined for any other path. */
export function productOfIndex(path: string): string | undefined {
  const [vendor, product, ...rest] = path.split('/');
  if (vendor === undefined || product === undefined || rest.length !== 2) return undefined;
  return indexPath(vendor, product) === path ? `${vendor}/${product}` : undefined;
}

/** `E_TARGET_UNKNOWN` unless the index lists `version`; its entries otherwise. */
export function entriesOf(index: ProductIndex, version: string): readonly IndexEntry[] {
  const found = index.entries.filter((entry) => entry.version === version);
  if (found.length > 0) return found;
  throw new IronError(
    'E_TARGET_UNKNOWN',
    `the index of ${index.vendor}/${index.product} lists no version ${version}`,
    {
      why: `it lists ${index.entries.map((entry) => entry.version).join(', ') || 'none'}`.slice(
        0,
        300,
      ),
    },
  );
}
