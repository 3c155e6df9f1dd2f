/**
 * Where a target lies, on the repository's word alone. For looking at things: nobody's signature
 * is checked, and whoever can change what the server sends decides what comes.
 */

import type { Crypto } from '../shared/crypto/crypto.ts';
import { IronError } from '../shared/errors.ts';
import { tree } from '../shared/layout.ts';
import { METADATA_LIMITS } from '../shared/limits.ts';
import { edgesFor } from '../shared/tuf/delegations.ts';
import { parseTargetPath } from '../shared/tuf/names.ts';
import { parseSnapshot } from '../shared/tuf/snapshot.ts';
import { parseTargets } from '../shared/tuf/targets.ts';
import { parseTimestamp } from '../shared/tuf/timestamp.ts';
import type { Fetcher } from './fetch/fetcher.ts';
import { type TargetFile, targetFile } from './target-file.ts';

/** Follows what the files say, without verifying any of it. `E_TARGET_UNKNOWN`. */
export async function locateUnverified(
  crypto: Crypto,
  fetcher: Fetcher,
  path: string,
  signal: AbortSignal,
): Promise<TargetFile> {
  parseTargetPath(path);
  const read = async (place: string, limit: number): Promise<Uint8Array> => {
    const bytes = await fetcher.fetchFile(place, limit, { signal });
    if (bytes !== undefined) return bytes;
    throw new IronError('E_NOT_FOUND', `the repository has no ${place}`);
  };
  const timestamp = parseTimestamp(await read(tree.timestamp, METADATA_LIMITS.timestamp));
  const place = tree.metadata('snapshot', timestamp.snapshot.version);
  const snapshot = parseSnapshot(await read(place, METADATA_LIMITS.snapshot));
  const visited = new Set<string>();
  let pending = ['targets'];
  while (pending.length > 0 && visited.size <= METADATA_LIMITS.delegations) {
    const role = pending.shift() as string;
    const version = snapshot.roles.get(role)?.version;
    if (visited.has(role) || version === undefined) continue;
    visited.add(role);
    const bytes = await read(tree.metadata(role, version), METADATA_LIMITS.targets);
    const targets = parseTargets(bytes, role);
    const entry = targets.entry(path);
    if (entry !== undefined) return targetFile(entry, true);
    const { delegations } = targets;
    if (delegations === undefined) continue;
    pending = [...edgesFor(crypto, delegations, path).map((edge) => edge.role), ...pending];
  }
  throw new IronError('E_TARGET_UNKNOWN', `the repository lists no ${path}`, {
    hint: '`ironport-client ADDRESS index` shows what there is',
    context: { path },
  });
}
