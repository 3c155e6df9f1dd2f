/**
 * Results of `apply`, by the digest of everything that decides them. An entry is one file: a line of
 * JSON with its key, length and digest, then the bytes. What does not agree with itself is no entry.
 */

import { join } from 'node:path';
import { concatBytes, toHex, utf8 } from '../../../shared/bytes.ts';
import { isIronError } from '../../../shared/errors.ts';
import { compactJson } from '../../../shared/evidence/compact.ts';
import { Node } from '../../../shared/json/decode.ts';
import { parseJson } from '../../../shared/json/read.ts';
import { jsonObject } from '../../../shared/json/value.ts';
import { PIPELINE_LIMITS } from '../../../shared/limits.ts';
import { platformCrypto as crypto } from '../../../shared/node/crypto.ts';
import { readFileCapped, writeFileAtomic } from '../../../shared/node/files.ts';
import { ensurePrivateFolder } from '../../../shared/node/folders.ts';
import type { InputKind } from '../apply/kind.ts';
import { TRANSFORM_VERSION, type Transformed } from '../apply/transform.ts';
import { parseReport, reportJson } from '../report.ts';

const SCHEMA = 'ironport.apply-cache/v1';
/** The line before the bytes: its report grows with the source. */
const HEADER = 64 * 1024 * 1024;

export interface CacheKey {
  readonly kind: InputKind;
  readonly inputSha256: string;
  readonly patternSha256: string;
  readonly grammarSha256: string;
}

/** The name of an entry. */
export function cacheKey(key: CacheKey): string {
  const { kind, inputSha256, patternSha256, grammarSha256 } = key;
  const parts = [SCHEMA, TRANSFORM_VERSION, kind, inputSha256, patternSha256, grammarSha256];
  return toHex(crypto.sha256(compactJson(parts)));
}

/** A cache below `folder`, which only its owner can enter: whoever writes there decides results. */
export class ApplyCache {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = join(folder, 'apply');
  }

  /** The entry, verified; undefined when there is none, `'damaged'` when there is no whole one. */
  async get(key: string): Promise<Transformed | 'damaged' | undefined> {
    await ensurePrivateFolder(this.#folder);
    let file: Uint8Array;
    try {
      const cap = HEADER + PIPELINE_LIMITS.binary;
      file = await readFileCapped(join(this.#folder, key), cap, { nofollow: true });
    } catch (error) {
      if (isIronError(error, 'E_NOT_FOUND')) return undefined;
      throw error;
    }
    try {
      return readEntry(file, key);
    } catch (error) {
      if (isIronError(error)) return 'damaged';
      throw error;
    }
  }

  async put(key: string, { bytes, report, patched, notes }: Transformed): Promise<void> {
    await ensurePrivateFolder(this.#folder);
    const header = jsonObject([
      ['schema', SCHEMA],
      ['key', key],
      ['length', bytes.length],
      ['sha256', toHex(crypto.sha256(bytes))],
      ['report', reportJson(report)],
      ['patched', patched.map(({ name, offsets }) => ({ name, offsets: [...offsets] }))],
      ['notes', [...notes]],
    ]);
    const file = concatBytes(compactJson(header), utf8('\n'), bytes);
    await writeFileAtomic(join(this.#folder, key), file, { mode: 0o600 });
  }
}

function readEntry(file: Uint8Array, key: string): Transformed {
  const newline = file.indexOf(10);
  const header = new Node(
    parseJson(file.subarray(0, Math.max(newline, 0)), { length: HEADER }),
    'cache entry',
  ).only('schema', 'key', 'length', 'sha256', 'report', 'patched', 'notes');
  const bytes = file.slice(newline + 1);
  header.get('schema').oneOf(SCHEMA);
  header.get('key').oneOf(key);
  header.get('sha256').oneOf(toHex(crypto.sha256(bytes)));
  header.get('length').integer(bytes.length, bytes.length);
  return {
    bytes,
    report: parseReport(header.get('report')),
    patched: header
      .get('patched')
      .items()
      .map((item) => ({
        name: item.get('name').string(),
        offsets: item
          .get('offsets')
          .items()
          .map((offset) => offset.integer(0)),
      })),
    notes: header
      .get('notes')
      .items()
      .map((note) => note.string()),
  };
}
