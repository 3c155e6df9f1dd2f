/** Makes many files and names durable at once: one wait for the disk instead of one for each. */

import { constants } from 'node:fs';
import { beside } from './beside.ts';
import { onPath } from './file-system.ts';
import { promptFiles } from './prompt-files.ts';
import { syncFileSystem } from './sync-file-system.ts';

/** From so many on, all of the file system is synced: that costs one wait, however many they are. */
const MANY = 64;
/** Syncs that wait for the disk side by side: the file system makes one wait of them. */
const BESIDE = 16;

/** Whether the program `sync` of this machine can sync one file system; found out once. */
let hasProgram: boolean | undefined;

/**
 * Syncs every file and folder of `paths`, all of which lie in the file system of `folder`. Node
 * has no syncfs(2); `sync -f` is that call (sync-file-system.ts), and where there is none each path is synced by
 * itself.
 */
export async function syncAll(folder: string, paths: readonly string[]): Promise<void> {
  if (paths.length >= MANY && hasProgram !== false) {
    hasProgram = await syncFileSystem(folder);
    if (hasProgram) return;
  }
  await beside(paths, syncPath, Math.min(BESIDE, paths.length));
}

/** Syncs one file or folder. */
async function syncPath(path: string): Promise<void> {
  await onPath(path, async () => {
    const file = await promptFiles.open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  });
}
