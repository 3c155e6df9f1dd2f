/** Signed files on the operator's disk: read whole and capped, never overwritten by another one. */

import { lstat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { equalBytes } from '../../shared/bytes.ts';
import { type Code, IronError, isIronError } from '../../shared/errors.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { readFileCapped, writeFileAtomic, writeFileExclusive } from '../../shared/node/files.ts';
import { parseRoleFile, type RoleFile } from '../../shared/tuf/diff/trust-diff.ts';
import { parseRoot, type Root } from '../../shared/tuf/root.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';

/** What a file can be wrong with that was named by mistake, or cut short. */
const UNREADABLE: readonly Code[] = ['E_JSON', 'E_SCHEMA', 'E_NAME', 'E_KEY', 'E_REVOCATIONS'];

/**
 * What the bytes of the file at `path` say. When they cannot be read as that, the error keeps its code
 * and says which file it was, and what it should have been.
 * @param what `a root`, `an admission request`
 */
export function readAs<T>(path: string, what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw unreadableAs(path, what, error);
  }
}

/** The error of `readAs`; any other one as it is. */
export function unreadableAs(path: string, what: string, error: unknown): unknown {
  if (!isIronError(error, ...UNREADABLE)) return error;
  return new IronError(error.code, `${path} is not ${what}`, {
    why: error.message,
    hint: 'nothing was signed and nothing was written; look whether this is the file that was meant, and whether all of it arrived',
    context: { ...error.context, path },
    cause: error,
  });
}

export async function loadRoleFile(path: string): Promise<RoleFile> {
  const bytes = await readFileCapped(path, METADATA_LIMITS.targets);
  return readAs(path, 'a root or targets file', () => parseRoleFile(bytes, path));
}

export async function loadRoot(path: string): Promise<Root> {
  const bytes = await readFileCapped(path, METADATA_LIMITS.root);
  return readAs(path, 'a root', () => parseRoot(bytes));
}

export async function maybeRoot(path: string | undefined): Promise<Root | undefined> {
  return path === undefined ? undefined : loadRoot(path);
}

export async function loadTargets(path: string): Promise<Targets> {
  const bytes = await readFileCapped(path, METADATA_LIMITS.targets);
  return readAs(path, 'a targets file', () => parseTargets(bytes, 'targets'));
}

/** Puts a signed file where nothing else is; `E_EXISTS` otherwise. */
export async function writeSigned(path: string, bytes: Uint8Array): Promise<void> {
  await writeFileExclusive(path, bytes);
}

/** The same for several that belong together: where one of them cannot be, none is written. */
export async function writeTogether(
  files: readonly (readonly [path: string, bytes: Uint8Array])[],
): Promise<void> {
  for (const [path, bytes] of files) {
    const found = await readFileCapped(path, bytes.length).catch((error) => {
      if (isIronError(error, 'E_NOT_FOUND')) return undefined;
      if (isIronError(error, 'E_TOO_LARGE')) return new Uint8Array();
      throw error;
    });
    if (found !== undefined && !equalBytes(found, bytes)) throw isInTheWay(path);
  }
  for (const [path, bytes] of files) await writeSigned(path, bytes);
}

/** `E_EXISTS` when something is at `path`, `E_NOT_FOUND` when its folder is not there: before anybody signs. */
export async function demandFree(path: string): Promise<void> {
  const folder = dirname(path);
  await onPath(folder, () => lstat(folder), 'E_NOT_FOUND');
  const isThere = await onPath(path, () => lstat(path), 'E_NOT_FOUND').then(
    () => true,
    (error) => {
      if (isIronError(error, 'E_NOT_FOUND')) return false;
      throw error;
    },
  );
  if (isThere) throw isInTheWay(path);
}

function isInTheWay(path: string): IronError {
  return new IronError('E_EXISTS', `${path} exists already`, {
    why: 'a file that others may have signed is never replaced',
    hint: 'nothing was written; choose another place, or move it away if it is not needed',
    context: { path },
  });
}

/**
 * Replaces the file that was read by the same one with a signature more. Somebody who changed it
 * meanwhile is not overwritten unseen: `E_CONFLICT`.
 */
export async function replaceSigned(
  path: string,
  read: Uint8Array,
  bytes: Uint8Array,
  cap: number = METADATA_LIMITS.targets,
): Promise<void> {
  const found = await readFileCapped(path, cap);
  if (Buffer.compare(found, read) !== 0) {
    throw new IronError('E_CONFLICT', `${path} was changed while it was being signed`, {
      hint: 'nothing was written; run it again',
    });
  }
  await writeFileAtomic(path, bytes);
}
