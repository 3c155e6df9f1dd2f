/** Lengths, hashes and versions by which one file speaks of another (TUF 1.0.34 section 4.4, 4.5). */

import { toHex } from '../bytes.ts';
import type { Crypto } from '../crypto/crypto.ts';
import { IronError } from '../errors.ts';
import type { Node } from '../json/decode.ts';
import { isJsonObject, type JsonValue } from '../json/value.ts';

/** Digests by algorithm, lower-case hexadecimal; at least one that we compute. */
export type Hashes = ReadonlyMap<string, string>;

/** An entry of a snapshot or timestamp: length and hashes are optional there. */
export interface MetaFile {
  readonly version: number;
  readonly length: number | undefined;
  readonly hashes: Hashes | undefined;
}

const HASH_LENGTH: ReadonlyMap<string, number> = new Map([
  ['sha256', 64],
  ['sha512', 128],
]);

export function parseMetaFile(node: Node): MetaFile {
  return {
    version: node.get('version').integer(1),
    length: node.maybe('length')?.integer(0),
    hashes: maybeHashes(node.maybe('hashes')),
  };
}

/**
 * What `parseMetaFile` makes of an entry that has a good version and neither length nor hashes, as
 * all sixteen thousand of a large snapshot are; undefined for every other, which it then reads.
 */
export function plainMetaFile(value: JsonValue | undefined): MetaFile | undefined {
  if (!isJsonObject(value)) return undefined;
  const { version, length, hashes } = value;
  return typeof version === 'number' &&
    Number.isSafeInteger(version) &&
    version >= 1 &&
    length === undefined &&
    hashes === undefined
    ? { version, length, hashes }
    : undefined;
}

function maybeHashes(node: Node | undefined): Hashes | undefined {
  return node === undefined ? undefined : parseHashes(node);
}

/**
 * Reads a hashes object. At least one algorithm must be one that we compute: an empty object, or
 * one of unknown algorithms, would be a promise that nobody can check.
 */
export function parseHashes(node: Node): Hashes {
  const hashes = new Map<string, string>();
  for (const [algorithm, value] of node.entries(16)) {
    const length = HASH_LENGTH.get(algorithm);
    const text = value.string();
    if (length === undefined) continue;
    if (text.length !== length || !/^[0-9a-f]+$/.test(text))
      throw value.error(`not a ${algorithm} digest`);
    hashes.set(algorithm, text);
  }
  if (hashes.size === 0) throw node.error('no sha256 or sha512 digest');
  return hashes;
}

/** Checks bytes against what a signed file says of them: length first, then every known hash. */
export function verifyMetaFile(
  crypto: Crypto,
  bytes: Uint8Array,
  expected: MetaFile,
  name: string,
): void {
  if (expected.length !== undefined && bytes.length !== expected.length) {
    throw new IronError(
      'E_LENGTH',
      `${name} has ${bytes.length} bytes where ${expected.length} were signed`,
      {
        hint: 'nothing was changed; the mirror is incomplete or altered: try another one',
        context: { expected: expected.length, actual: bytes.length },
      },
    );
  }
  for (const [algorithm, digest] of expected.hashes ?? []) {
    const actual = toHex(algorithm === 'sha256' ? crypto.sha256(bytes) : crypto.sha512(bytes));
    if (actual !== digest) {
      throw new IronError(
        'E_HASH',
        `${name} does not have the ${algorithm} digest that was signed`,
        {
          why: `expected ${digest.slice(0, 16)}…, found ${actual.slice(0, 16)}…`,
          hint: 'nothing was changed; the mirror is in the middle of an update, or altered: try another one',
          context: { expected: digest, actual },
        },
      );
    }
  }
}
