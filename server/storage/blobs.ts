/** What the tree says was published under which path: what the index is made from. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { IronError, isIronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { vendorOfRole } from '../../shared/tuf/names.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import type { PublishedBlob } from '../db/blob-index.ts';
import { loadImported } from './imported.ts';
import { decodeRoleFile, type RoleFileName } from './role-files.ts';

/** The targets that a vendor's role file lists. */
export function blobsOf(role: Targets, vendor: string): PublishedBlob[] {
  return role.paths().map((path) => {
    const entry = role.entry(path);
    const sha256 = entry?.hashes.get('sha256');
    if (entry === undefined || sha256 === undefined)
      throw new IronError('E_STORE', `${vendor} lists ${path} without a SHA-256`);
    return { path, sha256, length: entry.length, vendor };
  });
}

/** Roles that may list targets: those of vendors, and `targets` where a repository was taken over. */
export function mayList({ role, isTopLevel }: Pick<RoleFileName, 'role' | 'isTopLevel'>): boolean {
  return !isTopLevel || role === 'targets';
}

/**
 * What any version of any role ever listed, file by file. `E_STORE` when one of them cannot be read: a
 * name that only it listed could be given other bytes (invariant 6). What our operators signed lists no
 * artifact, and is left out then, unless the repository was taken over.
 * @param isTold leave out damaged targets of the top level of any repository: somebody was told of them
 */
export async function* everyBlob(folder: string, isTold = false): AsyncGenerator<PublishedBlob[]> {
  const mayLack = isTold || (await loadImported(folder)) === undefined;
  for (const file of await roleFiles(folder)) {
    const { path, role } = file;
    if (!mayList(file)) continue;
    const bytes = await readFileCapped(join(folder, path), METADATA_LIMITS.targets);
    let targets: Targets;
    try {
      targets = parseTargets(bytes, role);
    } catch (cause) {
      if (!isIronError(cause)) throw cause;
      if (file.isTopLevel && mayLack) continue;
      throw new IronError('E_STORE', `${path} cannot be read`, {
        why: `${cause.message}; names that only it lists could be given other bytes`,
        hint: `nothing published was changed; put it back from a backup or a mirror, \`ironport-repo fsck\` lists all that is wrong${file.isTopLevel ? '; `fsck --rebuild` goes on without what it lists' : ''}`,
        cause,
        context: { path },
      });
    }
    yield blobsOf(targets, vendorOfRole(role));
  }
}

/** Every versioned metadata file of the tree, by role and version. */
export async function roleFiles(
  folder: string,
): Promise<(RoleFileName & { readonly path: string })[]> {
  const names = await readdir(join(folder, tree.metadataFolder)).catch((error) => {
    if (isErrno(error) && error.code === 'ENOENT') return [];
    throw error;
  });
  return names
    .map((name) => `${tree.metadataFolder}/${name}`)
    .flatMap((path) => {
      const file = decodeRoleFile(path);
      return file === undefined ? [] : [{ path, ...file }];
    })
    .sort((a, b) => (a.role < b.role ? -1 : a.role > b.role ? 1 : a.version - b.version));
}
