/** Small blobs that came together: written side by side, made durable with one wait for the disk. */

import { constants } from 'node:fs';
import type { BatchBlob } from '../../shared/api/blob-batch.ts';
import type { BatchReply } from '../../shared/api/upload.ts';
import { IronError } from '../../shared/errors.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import { beside } from '../../shared/node/beside.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { writeAll } from '../../shared/node/files.ts';
import { type PromptFile, promptFiles } from '../../shared/node/prompt-files.ts';
import { syncAll } from '../../shared/node/sync.ts';
import type { Instant } from '../../shared/time.ts';
import type { BlobIndex } from '../db/blob-index.ts';
import type { Quarantine } from '../storage/quarantine.ts';

/** `E_QUOTA` when this vendor has no room for `files` more files of `bytes` bytes in all. */
export async function demandRoom(
  quarantine: Quarantine,
  vendor: string,
  files: number,
  bytes: number,
): Promise<void> {
  const held = await quarantine.held(vendor);
  let used = 0;
  for (const { length } of held.values()) used += length;
  if (
    used + bytes <= SERVER_LIMITS.quarantinePerVendor &&
    held.size + files <= SERVER_LIMITS.quarantineFiles
  )
    return;
  throw new IronError('E_QUOTA', 'the room for bytes that are not published is used up', {
    why: `${held.size} files of ${used} bytes in all wait for a submission`,
    hint: 'nothing was changed; submit what was uploaded, or wait until it is swept away',
    context: { used, files: held.size, limit: SERVER_LIMITS.quarantinePerVendor },
  });
}

/**
 * Puts measured blobs into quarantine. The caller sees to it that one batch of a vendor is written
 * at a time. A crash leaves partial files with nothing in them, which are swept away.
 */
export async function writeBatch(
  quarantine: Quarantine,
  index: BlobIndex,
  now: Instant,
  vendor: string,
  blobs: readonly BatchBlob[],
): Promise<BatchReply> {
  const held = await quarantine.held(vendor);
  const fresh = blobs.filter(
    ({ sha256 }) => held.get(sha256)?.complete !== true && index.find(vendor, sha256) === undefined,
  );
  const bytes = fresh.reduce((sum, blob) => sum + blob.bytes.length, 0);
  await demandRoom(quarantine, vendor, fresh.length, bytes);
  await quarantine.prepare(vendor);
  // A partial one of a digest that another request began is left to that request.
  const placeOf = (sha256: string): string => `${quarantine.path(vendor, sha256)}.batch`;
  await beside(fresh, async ({ sha256, bytes }) => {
    const place = placeOf(sha256);
    await onPath(place, () => writeOne(place, bytes, now));
  });
  const folder = quarantine.folder(vendor);
  await syncAll(
    folder,
    fresh.map(({ sha256 }) => placeOf(sha256)),
  );
  // Only bytes that are on the disk get the name of a digest.
  await beside(fresh, async ({ sha256, bytes }) => {
    const path = quarantine.path(vendor, sha256);
    await onPath(path, () => promptFiles.rename(placeOf(sha256), path));
    // The name is made durable before a submission rests on it, also when the next one is not given.
    quarantine.unsettled(vendor);
    await quarantine.note(vendor, sha256, { length: bytes.length, complete: true });
    quarantine.keepRecent(vendor, sha256, bytes);
  });
  return { received: blobs.length, bytes };
}

async function writeOne(place: string, bytes: Uint8Array, now: Instant): Promise<void> {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const create = (): Promise<PromptFile> =>
    promptFiles.open(place, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  const file = await create().catch(async (error) => {
    if (!isErrno(error) || error.code !== 'EEXIST') throw error;
    // What a crash left of it; one batch of a vendor is written at a time.
    await promptFiles.unlink(place);
    return await create();
  });
  try {
    await writeAll(file, bytes);
    await file.utimes(now, now);
    // In the tree it will be this same file, read by whoever serves it and changed by nobody.
    await file.chmod(0o444);
  } finally {
    await file.close();
  }
}
