/** Snapshot metadata (TUF 1.0.34 section 4.4). */

import { METADATA_LIMITS } from '../limits.ts';
import { parseCommon, parseEnvelope, type SignedCommon } from './envelope.ts';
import { type MetaFile, parseMetaFile, plainMetaFile } from './meta-file.ts';

export interface Snapshot extends SignedCommon {
  /** By role name, without `.json`. */
  readonly roles: ReadonlyMap<string, MetaFile>;
}

export function parseSnapshot(
  bytes: Uint8Array,
  length: number = METADATA_LIMITS.snapshot,
): Snapshot {
  const common = parseCommon(parseEnvelope(bytes, length, 'snapshot'), 'snapshot');
  const roles = new Map<string, MetaFile>();
  const meta = common.envelope.signed.get('meta');
  const files = meta.object();
  // Sixteen thousand entries: a place in the file is made only for what is not plain, or refused.
  for (const file of Object.keys(files)) {
    // TUF 4.4: METAPATH is a role's file name; what is not one can belong to no role.
    if (!file.endsWith('.json') || file === '.json')
      throw meta.get(file).error('not the file name of a role');
    const entry = plainMetaFile(files[file]) ?? parseMetaFile(meta.get(file));
    roles.set(file.slice(0, -'.json'.length), entry);
  }
  return { ...common, roles };
}
