/** Snapshot metadata (TUF 1.0.34 section 4.4). */

import type { JsonValue } from '../json/value.ts';
import { METADATA_LIMITS } from '../limits.ts';
import { parseCommon, parseEnvelope, type SignedCommon } from './envelope.ts';
import { type MetaFile, parseMetaFile, plainMetaFile } from './meta-file.ts';
import { roleNames, SnapshotRoles } from './snapshot-roles.ts';

export interface Snapshot extends SignedCommon {
  /** By role name, without `.json`. */
  readonly roles: SnapshotRoles;
}

/** @param before one that was read: where this one lists the same roles, it takes their names from it */
export function parseSnapshot(
  bytes: Uint8Array,
  length: number = METADATA_LIMITS.snapshot,
  before?: Snapshot,
): Snapshot {
  const guess = before?.roles.names.files;
  const common = parseCommon(parseEnvelope(bytes, length, 'snapshot', guess), 'snapshot');
  const { envelope } = common;
  const meta = envelope.signed.get('meta');
  const files = meta.object();
  // Sixteen thousand entries: a place in the file is made only for what is not plain, or refused.
  const isGuessed = guess !== undefined && envelope.guessed === files;
  const names = isGuessed ? guess : Object.keys(files);
  let last: { readonly value: JsonValue | undefined; readonly file: MetaFile } | undefined;
  const listed = names.map((file) => {
    // TUF 4.4: METAPATH is a role's file name; what is not one can belong to no role.
    if (!file.endsWith('.json') || file === '.json')
      throw meta.get(file).error('not the file name of a role');
    const value = files[file];
    // The reader gives entries that are the same text as one object.
    if (last !== undefined && last.value === value) return last.file;
    last = { value, file: plainMetaFile(value) ?? parseMetaFile(meta.get(file)) };
    return last.file;
  });
  return { ...common, roles: new SnapshotRoles(roleNames(names, before?.roles.names), listed) };
}
