/**
 * What the vendor remembers of its own role: the highest version that it saw published, and what it
 * signed itself. Both are written before they are relied upon.
 */

import { join } from 'node:path';
import { utf8 } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { vendorFolder } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { readFileCapped, readJsonFile, writeFileAtomic } from '../../shared/node/files.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';

const SCHEMA = 'ironport.vendor-floor/v1';

/** The floor; 0 before anything was published. A damaged file is an error: floors are not guessed. */
export async function loadFloor(dir: string, vendor: string): Promise<number> {
  const path = join(dir, vendorFolder.floor);
  const tree = await missingAsUndefined(() => readJsonFile(path, 4096));
  if (tree === undefined) return 0;
  const node = new Node(tree, path).only('schema', 'role', 'version');
  node.get('schema').oneOf(SCHEMA);
  node.get('role').oneOf(vendor);
  return node.get('version').integer(0);
}

/** Raises the floor to `version`; it never goes down. */
export async function raiseFloor(dir: string, vendor: string, version: number): Promise<void> {
  if ((await loadFloor(dir, vendor)) >= version) return;
  const bytes = utf8(`${JSON.stringify({ schema: SCHEMA, role: vendor, version })}\n`);
  await writeFileAtomic(join(dir, vendorFolder.floor), bytes, { mode: 0o600 });
}

/** Role files that this folder remembers: signed last, and of those seen published last. */
export type Remembered = 'lastSigned' | 'lastPublished';

export async function loadRemembered(
  dir: string,
  which: Remembered,
  vendor: string,
): Promise<Targets | undefined> {
  const path = join(dir, vendorFolder[which]);
  const bytes = await missingAsUndefined(() => readFileCapped(path, METADATA_LIMITS.targets));
  return bytes === undefined ? undefined : parseTargets(bytes, vendor);
}

export async function remember(dir: string, which: Remembered, bytes: Uint8Array): Promise<void> {
  await writeFileAtomic(join(dir, vendorFolder[which]), bytes, { mode: 0o600 });
}

async function missingAsUndefined<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) return undefined;
    throw error;
  }
}
