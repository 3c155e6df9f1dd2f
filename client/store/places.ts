/**
 * Places of a store in which something of another kind stands: a folder where a file belongs, a link, a
 * pipe, a file where a folder belongs. Only what is a cache is ever cleared; nothing is followed.
 */

import { rm } from 'node:fs/promises';
import { isIronError } from '../../shared/errors.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { onPath, systemFiles, type WithFiles } from '../../shared/node/file-system.ts';
import { writeFileAtomic } from '../../shared/node/files.ts';
import { ensurePrivateFolder } from '../../shared/node/folders.ts';

/**
 * Puts a cached file in its place, durably, also where a folder stands. Links, pipes and devices are
 * replaced by the rename as files are, and what a link led to stays as it is.
 */
export async function writeCached(
  path: string,
  bytes: Uint8Array,
  options: WithFiles = {},
): Promise<void> {
  try {
    await writeFileAtomic(path, bytes, options);
  } catch (error) {
    // Nothing is renamed over a folder.
    if (!isIronError(error, 'E_IO') || error.context.errno !== 'EISDIR') throw error;
    await onPath(path, () => rm(path, { recursive: true }));
    await writeFileAtomic(path, bytes, options);
  }
}

/** Makes sure of a folder of cached files; what stands there and is none is removed. */
export async function ensureCacheFolder(path: string, options: WithFiles = {}): Promise<void> {
  try {
    await ensurePrivateFolder(path, options);
  } catch (error) {
    if (!isIronError(error, 'E_IO') || !(await removeOther(path, options))) throw error;
    await ensurePrivateFolder(path, options);
  }
}

/** Removes what stands at `path` unless it is a regular file, which is left for its reader to judge. */
export async function clearForFile(path: string): Promise<void> {
  const found = await onPath(path, () => systemFiles.lstat(path).catch(ifMissing));
  if (found === undefined || found.isFile()) return;
  await onPath(path, () => rm(path, { recursive: true, force: true }));
}

/** Whether something stood at `path` that is no folder, and was removed. */
async function removeOther(path: string, { files = systemFiles }: WithFiles): Promise<boolean> {
  return onPath(path, async () => {
    const found = await files.lstat(path).catch(ifMissing);
    if (found === undefined || found.isDirectory()) return false;
    await files.unlink(path);
    return true;
  });
}

function ifMissing(error: unknown): undefined {
  if (!isErrno(error) || error.code !== 'ENOENT') throw error;
}
