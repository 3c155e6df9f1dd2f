/**
 * Entries of a store that are not what belongs there: a folder, a link, a pipe, a socket, a device in
 * the place of a file, a file in the place of a folder, or one that its owner may not read. What is a
 * cache is removed and fetched again, a lock is not; nothing is followed, and nothing is opened.
 */

import type { Stats } from 'node:fs';
import { access, chmod, constants, lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { geteuid } from 'node:process';
import { store as layout } from '../../shared/layout.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { kindOf } from '../../shared/node/files.ts';
import type { Repository } from '../repository.ts';
import type { Finding } from './finding.ts';

/** Folders of files that can all be had again; files that can; and files that only their owner has. */
const FOLDERS = [
  layout.metadataFolder,
  layout.rootsFolder,
  layout.targetsFolder,
  layout.evidenceFolder,
  layout.downloads,
];
const FILES = [layout.revocations, layout.targetsNote, `${layout.lock}.holder`];
const KEPT = [layout.hostKey, layout.hostPublicKey];

/** One finding for each entry of another kind; of a store that is well, none. */
export async function lookAtKinds({ store }: Pick<Repository, 'store'>): Promise<Finding[]> {
  const at = (path: string): string => join(store.folder, path);
  const findings: (Finding | undefined)[] = [];
  for (const path of FILES) findings.push(await lookAtFile(at(path), path));
  findings.push(await lookAtLockFile(at(layout.lock), layout.lock));
  for (const path of KEPT) findings.push(await lookAtKept(at(path), path));
  for (const path of FOLDERS) {
    const finding = await lookAtCacheFolder(at(path), path);
    findings.push(finding);
    if (finding !== undefined) continue;
    const lookAt = path === layout.downloads ? lookAtLockFile : lookAtFile;
    for (const name of await namesIn(at(path)))
      findings.push(await lookAt(join(at(path), name), `${path}/${name}`));
  }
  return findings.filter((finding) => finding !== undefined);
}

async function lookAtFile(place: string, path: string): Promise<Finding | undefined> {
  const found = await lstatIfThere(place);
  if (found === undefined) return undefined;
  if (found.isFile() && (await may(place, constants.R_OK))) return undefined;
  return {
    state: 'heals',
    subject: path,
    what: found.isFile() ? 'may not be read' : `is ${kindOf(found)} where a file belongs`,
    advice: 'it is only a cache, and made anew when it is needed; --repair removes it now',
    repair: () => onPath(place, () => rm(place, { recursive: true, force: true })),
  };
}

/**
 * What is no file is held by nobody, and goes. A file may be held by whoever has it open, whatever its
 * mode says since: one in its place would keep nobody out, so it is never removed.
 */
async function lookAtLockFile(place: string, path: string): Promise<Finding | undefined> {
  const found = await lstatIfThere(place);
  if (found?.isFile() !== true) return await lookAtFile(place, path);
  if (await may(place, constants.R_OK | constants.W_OK)) return undefined;
  const what = 'may not be read and written';
  if (found.uid === geteuid?.()) {
    return {
      ...{ state: 'heals', subject: path, what },
      advice: '--repair opens it to its owner; it is a lock, and is not removed',
      repair: () => onPath(place, () => chmod(place, 0o600)),
    };
  }
  return {
    ...{ state: 'broken', subject: path, what: `${what}: it belongs to user ${found.uid}` },
    advice: `somebody may hold it, so it is left alone; have its owner or root give it to the owner of this store: \`chown\``,
  };
}

async function lookAtKept(place: string, path: string): Promise<Finding | undefined> {
  const found = await lstatIfThere(place);
  if (found === undefined || (found.isFile() && (await may(place, constants.R_OK))))
    return undefined;
  return {
    state: 'broken',
    subject: path,
    what: found.isFile() ? 'may not be read' : `is ${kindOf(found)} where a file belongs`,
    advice:
      'restore the key of this host, or move both of its files away: then the next summary makes a new one',
  };
}

async function lookAtCacheFolder(place: string, path: string): Promise<Finding | undefined> {
  const found = await lstatIfThere(place);
  if (found === undefined) return undefined;
  const finding = { state: 'heals', subject: path } as const;
  if (!found.isDirectory()) {
    return {
      ...finding,
      what: `is ${kindOf(found)} where a folder belongs`,
      advice:
        'the next refresh replaces it; --repair removes it now. What a link leads to is left alone',
      repair: () => onPath(place, () => rm(place, { force: true })),
    };
  }
  // To list it, and to reach what is in it.
  if (await may(place, constants.R_OK | constants.X_OK)) return undefined;
  return {
    ...finding,
    what: 'may not be entered',
    advice: 'the next refresh opens it to its owner; --repair does so now',
    repair: () => onPath(place, () => chmod(place, 0o700)),
  };
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (isErrno(error)) return [];
    throw error;
  }
}

async function lstatIfThere(place: string): Promise<Stats | undefined> {
  try {
    return await lstat(place);
  } catch (error) {
    // Not there, or its folder is none: that is said of the folder.
    if (isErrno(error)) return undefined;
    throw error;
  }
}

function may(place: string, what: number): Promise<boolean> {
  return access(place, what).then(
    () => true,
    () => false,
  );
}
