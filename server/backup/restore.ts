/**
 * Puts a backup into a folder where nothing is. What the repository's signatures cover is verified by
 * them; what they do not cover is taken only from a backup whose digest somebody kept elsewhere.
 */

import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { equalBytes } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { data, tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { readFileCapped, syncFolder } from '../../shared/node/files.ts';
import { insideFolder } from '../../shared/node/folders.ts';
import { copyHashingInto } from '../../shared/node/hash.ts';
import { syncAll } from '../../shared/node/sync.ts';
import { parseInstant } from '../../shared/time.ts';
import { parseRoot } from '../../shared/tuf/root.ts';
import { BlobIndex } from '../db/blob-index.ts';
import { demandSound, openDatabase } from '../db/open.ts';
import { checkTree } from '../publish/fsck.ts';
import { READ_ONLY } from '../publish/stage.ts';
import { demandEmpty } from '../storage/empty-home.ts';
import { demandFirstRoot } from '../storage/first-root.ts';
import { reindex } from '../storage/reindex.ts';
import { type BackupAbout, type BackupFile, isUnsigned, refused } from './manifest.ts';
import { type OpenBackup, openBackup } from './read.ts';

export interface RestoreOptions {
  readonly from: string;
  /** The service's folder that will be: absent, or an empty folder. */
  readonly home: string;
  readonly crypto: Crypto;
  /** The digest that `makeBackup` gave; without it only what is signed is taken. */
  readonly sha256?: string | undefined;
  /** A root that is trusted, without `sha256` root 1: the backup must have the very same. */
  readonly root?: Uint8Array | undefined;
  readonly signal?: AbortSignal;
  readonly onBytes?: (count: number) => void;
}

export interface RestoreReport extends BackupAbout {
  readonly home: string;
  readonly sha256: string;
  /** Whether its digest was known, so that history and suspensions came with it. */
  readonly complete: boolean;
  /** Roles that had expired when the backup was made. */
  readonly expired: readonly string[];
}

/**
 * Restores. Everything is verified before anything is at `home`; `E_EXISTS`, `E_STORE`, `E_HASH`,
 * `E_NO_PIN`.
 */
export async function restoreBackup(options: RestoreOptions): Promise<RestoreReport> {
  const { home, sha256, root } = options;
  // With its digest all of the backup is known, the roots before the given one as well.
  if (root !== undefined && sha256 === undefined)
    demandFirstRoot(parseRoot(root), 'give root 1, or --sha256 too, as `backup` printed it');
  await demandEmpty(home, 'restore');
  const backup = await openBackup(options.from);
  const work = join(dirname(home), `.tmp-${basename(home)}-${randomBytes(6).toString('hex')}`);
  try {
    if (sha256 !== undefined && backup.sha256 !== sha256)
      throw new IronError('E_HASH', 'this is not the backup with that digest', {
        why: `its SHA-256 is ${backup.sha256}`,
        hint: 'nothing was changed; it was swapped or tampered with, or it is another one',
      });
    await onPath(work, () => mkdir(work, { mode: 0o700 }));
    await unpack(backup, work, options);
    const expired = await verify(backup, work, options);
    await index(work, backup.about);
    // Over an empty folder, and over nothing else (rename(2)).
    await onPath(home, () => rename(work, home));
    await syncFolder(dirname(home));
    const complete = sha256 !== undefined;
    return { ...backup.about, home, sha256: backup.sha256, complete, expired };
  } finally {
    await backup.close();
    await rm(work, { recursive: true, force: true });
  }
}

async function unpack(backup: OpenBackup, work: string, options: RestoreOptions): Promise<void> {
  const { signal, onBytes } = options;
  await mkdir(join(work, data.private), { mode: 0o700 });
  const paths = new Set([work]);
  for await (const { file, bytes } of backup.files()) {
    if (isUnsigned(file.path) && options.sha256 === undefined) {
      for await (const _piece of bytes) signal?.throwIfAborted();
      continue;
    }
    const place = await insideFolder(work, file.path);
    await onPath(place, () => mkdir(dirname(place), { recursive: true, mode: modeOf(file, true) }));
    for (let at = dirname(place); at !== work; at = dirname(at)) paths.add(at);
    const out = await onPath(place, () => open(place, 'wx', modeOf(file, false))).catch((error) => {
      if (!isIronError(error, 'E_IO') || error.context.errno !== 'EEXIST') throw error;
      throw refused(`${file.path} is in it twice`);
    });
    const measured = await copyHashingInto(bytes, out, place, {
      cap: file.length,
      ...(signal === undefined ? {} : { signal }),
      ...(onBytes === undefined ? {} : { onBytes }),
    }).finally(() => out.close());
    if (measured.length !== file.length || measured.sha256 !== file.sha256)
      throw refused(`${file.path} does not have the bytes that are listed`);
    paths.add(place);
  }
  await syncAll(work, [...paths]);
}

function modeOf({ path }: BackupFile, isFolder: boolean): number {
  if (isUnsigned(path)) return isFolder ? 0o700 : 0o600;
  return isFolder ? 0o755 : READ_ONLY;
}

/** The whole tree by fsck, which runs the real client from root 1 too; as of when it was made. */
async function verify(
  { about }: OpenBackup,
  work: string,
  { crypto, root, signal }: RestoreOptions,
): Promise<string[]> {
  const folder = join(work, data.tree);
  if (root !== undefined) await demandRoot(folder, root);
  const made = parseInstant(about.created);
  const options = { crypto, clock: () => made, ...(signal === undefined ? {} : { signal }) };
  const { findings } = await checkTree(folder, options);
  const isExpiry = ({ what }: { readonly what: string }): boolean => what.startsWith('E_EXPIRED');
  const [first, ...others] = findings.filter((finding) => !isExpiry(finding));
  if (first !== undefined)
    throw refused(
      `${first.at}: ${first.what}${others.length > 0 ? `, and ${others.length} findings more` : ''}`,
    );
  return findings.map(({ at, what }) => `${at}: ${what}`);
}

async function demandRoot(folder: string, root: Uint8Array): Promise<void> {
  const { version } = parseRoot(root);
  const path = join(folder, tree.metadata('root', version));
  const there = await readFileCapped(path, METADATA_LIMITS.root).catch(() => undefined);
  if (there !== undefined && equalBytes(there, root)) return;
  throw new IronError('E_PIN_EXISTS', 'the backup is of another repository', {
    why: `it does not have the root ${version} that was given`,
    hint: 'nothing was changed',
  });
}

/**
 * The index is made from the tree: nothing about published bytes is taken on the backup's word, but that a name
 * had some once which a lost version listed.
 */
async function index(work: string, about: BackupAbout): Promise<void> {
  const db = openDatabase(join(work, data.database));
  try {
    demandSound(db);
    const folder = join(work, data.tree);
    await reindex(new BlobIndex(db), folder, about.timestamp);
  } finally {
    db.close();
  }
}
