/**
 * Roles that become visible together, as a folder that goes from one signer to the next: more of them than
 * wait at the service as one change. A file a role, called as in the tree.
 */

import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { toHex } from '../shared/bytes.ts';
import { IronError } from '../shared/errors.ts';
import { tree } from '../shared/layout.ts';
import { BIN_LIMITS, METADATA_LIMITS, NESTED_LIMITS } from '../shared/limits.ts';
import { beside } from '../shared/node/beside.ts';
import { isErrno } from '../shared/node/errno.ts';
import { onPath } from '../shared/node/file-system.ts';
import {
  isTemporaryName,
  readFileCapped,
  syncFolder,
  writeFileAtomic,
  writeFileExclusive,
} from '../shared/node/files.ts';
import { syncAll } from '../shared/node/sync.ts';
import { decodeRoleName, quoted } from '../shared/tuf/names.ts';
import { rolesBelow } from '../shared/tuf/nested.ts';
import { parseTargets } from '../shared/tuf/targets.ts';
import type { DraftedFile } from './show-draft.ts';

/** As many bins as there can be, and whatever they stand below. */
const MOST_FILES = 2 ** BIN_LIMITS.bits + NESTED_LIMITS.roles + 1;

export interface FolderFile {
  readonly role: string;
  readonly version: number;
  readonly bytes: Uint8Array;
}

function nameOf({ role, version }: Omit<FolderFile, 'bytes'>): string {
  return basename(tree.metadata(role, version));
}

/** Makes the folder with all of its files, or nothing. `E_EXISTS` when something is there. */
export async function makeRoleFolder(path: string, files: readonly FolderFile[]): Promise<void> {
  const place = resolve(path);
  const work = join(dirname(place), `.tmp-${basename(place)}-${toHex(randomBytes(6))}`);
  try {
    await onPath(path, () => mkdir(work));
    const put = async (file: FolderFile): Promise<void> => {
      await writeFileExclusive(join(work, nameOf(file)), file.bytes, { durable: false });
    };
    await beside(files, put);
    await syncAll(work, [...files.map((file) => join(work, nameOf(file))), work]);
    // Over an empty folder, and over nothing else (rename(2)).
    await onPath(path, () => placeAt(work, place, path));
    await syncFolder(dirname(place));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function placeAt(work: string, place: string, path: string): Promise<void> {
  try {
    await rename(work, place);
  } catch (error) {
    if (!isErrno(error) || !TAKEN.includes(error.code ?? '')) throw error;
    throw new IronError('E_EXISTS', `${path} is there already`, { hint: 'nothing was written' });
  }
}

const TAKEN: readonly string[] = ['EEXIST', 'ENOTEMPTY', 'ENOTDIR'];

/** The same files with more signatures, each in its place by one rename. */
export async function rewriteRoleFolder(path: string, files: readonly FolderFile[]): Promise<void> {
  for (const file of files) await writeFileAtomic(join(path, nameOf(file)), file.bytes);
}

/**
 * All files of a folder, none of them verified. `E_NAME`, `E_VERSION` for what is no role file by its name;
 * `E_DELEGATION` when one is missing that a role in it gives its paths to: half of it is signed by nobody.
 */
export async function readRoleFolder(path: string): Promise<DraftedFile[]> {
  const names = (await onPath(path, () => readdir(path), 'E_NOT_FOUND'))
    // What a rename that was cut short left.
    .filter((name) => !isTemporaryName(name))
    .sort();
  if (names.length > MOST_FILES)
    throw new IronError('E_TOO_LARGE', `${path} has ${names.length} files`, {
      hint: `nothing was signed; at most ${MOST_FILES} roles become visible together`,
    });
  const files: DraftedFile[] = [];
  await beside(names, async (name) => {
    const { role, version } = partsOf(name);
    const bytes = await readFileCapped(join(path, name), METADATA_LIMITS.targets);
    const file = parseTargets(bytes, role);
    if (file.version !== version)
      throw new IronError('E_VERSION', `${name} says that it is version ${file.version}`, {
        hint: 'nothing was signed; ask whoever passed it on what it is',
      });
    files.push({ role, bytes, file });
  });
  const there = new Set(files.map(({ role }) => role));
  for (const { role, file } of files) {
    if (file.delegations?.succinct === undefined) continue;
    const missing = rolesBelow(file).filter((bin) => !there.has(bin));
    if (missing.length > 0)
      throw new IronError('E_DELEGATION', `${path} lacks ${missing.length} bins of ${role}`, {
        why: `${missing[0]} is not there`,
        hint: 'nothing was signed; ask whoever passed it on for all of it',
      });
  }
  return files.sort((a, b) => (a.role < b.role ? -1 : 1));
}

function partsOf(name: string): Omit<FolderFile, 'bytes'> {
  const [, version, encoded] = /^([1-9]\d{0,15})\.(.{1,255})\.json$/.exec(name) ?? [];
  const role = encoded === undefined ? undefined : decodeRoleName(encoded);
  if (role !== undefined) return { role, version: Number(version) };
  throw new IronError('E_NAME', `${quoted(name)} is no name of a role's file`, {
    hint: 'nothing was signed; give the folder that `ironport split --out` made',
  });
}
