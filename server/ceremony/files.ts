/** Signed files on the operator's disk: read whole and capped, never overwritten by another one. */

import { IronError } from '../../shared/errors.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { readFileCapped, writeFileAtomic, writeFileExclusive } from '../../shared/node/files.ts';
import { parseRoleFile, type RoleFile } from '../../shared/tuf/diff/trust-diff.ts';
import { parseRoot, type Root } from '../../shared/tuf/root.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';

export async function loadRoleFile(path: string): Promise<RoleFile> {
  return parseRoleFile(await readFileCapped(path, METADATA_LIMITS.targets), path);
}

export async function loadRoot(path: string): Promise<Root> {
  return parseRoot(await readFileCapped(path, METADATA_LIMITS.root));
}

export async function maybeRoot(path: string | undefined): Promise<Root | undefined> {
  return path === undefined ? undefined : loadRoot(path);
}

export async function loadTargets(path: string): Promise<Targets> {
  return parseTargets(await readFileCapped(path, METADATA_LIMITS.targets), 'targets');
}

/** Puts a signed file where nothing else is; `E_EXISTS` otherwise. */
export async function writeSigned(path: string, bytes: Uint8Array): Promise<void> {
  await writeFileExclusive(path, bytes);
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
