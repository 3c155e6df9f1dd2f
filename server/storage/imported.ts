/**
 * Where the history of a repository begins that was taken over from other tools. Nobody signs it: it
 * says what is not to be missed, and nothing that stands rests on it.
 */

import { join } from 'node:path';
import * as z from 'zod';
import { utf8 } from '../../shared/bytes.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { parseJson } from '../../shared/json/read.ts';
import { tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { readFileCapped } from '../../shared/node/files.ts';

export const IMPORTED_SCHEMA = 'ironport.imported/v1';

const version = z.number().int().min(1).max(Number.MAX_SAFE_INTEGER);

const imported = z.strictObject({
  schema: z.literal(IMPORTED_SCHEMA),
  /** When it was taken over. */
  at: z.string(),
  /** The newest root of that time; all before it are here. */
  root: version,
  /** The first version that is here, of the snapshot and of each role that the snapshot lists. */
  first: z.record(z.string(), version),
  /** Roles that the snapshot lists and that nothing delegates to any more. */
  unreachable: z.array(z.string()),
});
export type Imported = z.infer<typeof imported>;

export function formatImported(note: Imported): Uint8Array {
  return utf8(`${JSON.stringify(note, null, 2)}\n`);
}

/** The note of the tree in `folder`; undefined for a repository that began here. `E_STORE`. */
export async function loadImported(folder: string): Promise<Imported | undefined> {
  const path = join(folder, tree.imported);
  try {
    const bytes = await readFileCapped(path, METADATA_LIMITS.snapshot, { nofollow: true });
    const result = imported.safeParse(parseJson(bytes, { length: METADATA_LIMITS.snapshot }));
    if (result.success) return result.data;
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) return undefined;
    if (!isIronError(error, 'E_JSON')) throw error;
  }
  throw new IronError('E_STORE', `${path} does not have the form that it must have`, {
    hint: 'nothing was changed; take it from a backup',
  });
}
