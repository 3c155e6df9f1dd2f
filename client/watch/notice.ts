/** A notice: the signed index of a product, as a hand-over that the agent verifies like any other. */

import { join } from 'node:path';
import { equalBytes } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { parseRecord } from '../../shared/handoff/record.ts';
import { handoff, indexPath } from '../../shared/layout.ts';
import { HANDOFF_LIMITS } from '../../shared/limits.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { encodePathAsSegment } from '../../shared/tuf/names.ts';
import { writeHandoff } from '../handoff/write.ts';
import type { Repository } from '../repository.ts';
import { targetFile } from '../target-file.ts';

/** The name of a product's notice in the folder of hand-overs. */
export function noticeFolder(product: string): string {
  return `notice-${encodePathAsSegment(product)}`;
}

/** Writes the notice of a product below `folder`. Undefined when the product has no index. */
export async function writeNotice(
  repository: Repository,
  folder: string,
  product: string,
): Promise<'current' | 'renewed' | undefined> {
  const [vendor = '', name = ''] = product.split('/');
  const path = indexPath(vendor, name);
  // An updater of its own: the record has the files of this walk and no others.
  const updater = repository.updater();
  const { consistentSnapshot } = (await updater.refresh()).root;
  // The list of revocations goes along: the agent takes it from every record.
  await updater.revocations();
  const found = await updater.find(path);
  const sha256 = found?.entry.hashes.get('sha256');
  if (found === undefined || sha256 === undefined) return undefined;
  const place = join(folder, noticeFolder(product));
  const { roles } = updater.files;
  const before = await heldTimestamp(place);
  if (before !== undefined && equalBytes(before, roles.get('timestamp') ?? new Uint8Array()))
    return 'current';
  await writeHandoff({
    verified: {
      verdict: { path, length: found.entry.length, sha256 },
      target: targetFile(found.entry, consistentSnapshot),
      sidecars: new Map(),
      updater,
    },
    source: repository.fetcher,
    folder: place,
    replace: true,
    lockFolder: repository.store.folder,
  });
  return 'renewed';
}

async function heldTimestamp(place: string): Promise<Uint8Array | undefined> {
  try {
    const bytes = await readFileCapped(join(place, handoff.record), HANDOFF_LIMITS.record);
    return parseRecord(bytes).timestamp;
  } catch (error) {
    // What is not there, or is no record, is written anew.
    if (isIronError(error, 'E_NOT_FOUND', 'E_JSON', 'E_SCHEMA', 'E_TOO_LARGE')) return undefined;
    throw error;
  }
}
