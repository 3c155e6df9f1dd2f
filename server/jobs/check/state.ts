/** What a check remembers for the next one: versions, and the digests of files that never change. */

import { toHex, utf8 } from '../../../shared/bytes.ts';
import { isIronError } from '../../../shared/errors.ts';
import { Node } from '../../../shared/json/decode.ts';
import { readJsonFile, writeFileAtomic } from '../../../shared/node/files.ts';

const SCHEMA = 'ironport.check-state/v1';
const LIMIT = 64 * 1024 * 1024;

export interface CheckState {
  /** Highest versions that were ever seen, by role; they only rise. */
  readonly versions: Map<string, number>;
  /** SHA-256 of files whose name says that they never change, by path. */
  readonly files: Map<string, string>;
}

export function emptyState(): CheckState {
  return { versions: new Map(), files: new Map() };
}

/** `E_SCHEMA` or `E_JSON` when it is damaged: what was seen is not guessed. */
export async function loadState(path: string): Promise<CheckState> {
  try {
    const node = new Node(await readJsonFile(path, LIMIT), path);
    node.only('schema', 'versions', 'files').get('schema').oneOf(SCHEMA);
    const versions = node
      .get('versions')
      .entries()
      .map(([role, value]) => [role, value.integer(1)] as const);
    const files = node
      .get('files')
      .entries()
      .map(([file, value]) => [file, value.matching(/^[0-9a-f]{64}$/, 'a digest')] as const);
    return { versions: new Map(versions), files: new Map(files) };
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) return emptyState();
    throw error;
  }
}

export async function saveState(path: string, { versions, files }: CheckState): Promise<void> {
  const document = {
    schema: SCHEMA,
    versions: Object.fromEntries([...versions].sort()),
    files: Object.fromEntries([...files].sort()),
  };
  await writeFileAtomic(path, utf8(`${JSON.stringify(document)}\n`));
}

/** Notes a file; what it was before, when it was seen with other bytes. */
export function noteFile(
  { files }: CheckState,
  path: string,
  sha256: Uint8Array,
): string | undefined {
  const digest = toHex(sha256);
  const before = files.get(path);
  if (before !== undefined && before !== digest) return before;
  files.set(path, digest);
  return undefined;
}
