/** Makes a backup of a repository, beside a service that runs and publishes. */

import { randomBytes } from 'node:crypto';
import { type FileHandle, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { data, tree } from '../../shared/layout.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { openRegular, syncFolder, writeAll, writeFileExclusive } from '../../shared/node/files.ts';
import { copyHashingInto, hashFile, pieces } from '../../shared/node/hash.ts';
import { syncAll } from '../../shared/node/sync.ts';
import { type Clock, formatInstant } from '../../shared/time.ts';
import { copyDatabase } from '../db/copy.ts';
import { formatHolds, loadHolds } from '../storage/holds.ts';
import { formatReviewPolicy, loadReviewPolicy } from '../storage/review-policy.ts';
import { formatScanner, loadScanner } from '../storage/scanner.ts';
import { Suspended } from '../storage/suspended.ts';
import {
  BACKUP_SCHEMA,
  type BackupAbout,
  type BackupFile,
  formatHead,
  formatLine,
} from './manifest.ts';
import { linesOf } from './read.ts';
import { filesOf, standingState } from './selection.ts';

export interface BackupOptions {
  /** The service's folder. */
  readonly home: string;
  /** Where the backup will be; nothing may be there. With a `/` at its end it becomes a folder. */
  readonly out: string;
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  readonly onBytes?: (count: number) => void;
}

export interface BackupReport extends BackupAbout {
  readonly out: string;
  /** Of the list, and so of the whole: whoever knows it can tell this backup from any other. */
  readonly sha256: string;
  /** Versions of roles that lack in the tree: with them lacking, `restore` takes no backup of it. */
  readonly missing: readonly string[];
}

/**
 * Makes the backup. `E_EXISTS` when something is at `out`; `E_STORE` when the tree is damaged,
 * `E_NO_SPACE`, `E_IO`. It appears whole or not at all.
 */
export async function makeBackup(options: BackupOptions): Promise<BackupReport> {
  const isFolder = options.out.endsWith('/');
  const out = options.out.replace(/\/+$/, '');
  await demandNothing(out);
  const work = join(dirname(out), `.tmp-${basename(out)}-${randomBytes(6).toString('hex')}`);
  await onPath(work, () => mkdir(work, { mode: 0o700 }));
  try {
    const list = await collect(options, work);
    const whole = join(work, 'whole');
    if (isFolder) await writeFolder(options, work, list, whole);
    else await writeFile(options, work, list, whole);
    await demandNothing(out);
    await onPath(out, () => rename(whole, out));
    await syncFolder(dirname(out));
    return { ...list.about, sha256: list.sha256, out, missing: list.missing };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

interface List {
  readonly about: BackupAbout;
  /** Head and list, as they stand in the backup. */
  readonly head: Uint8Array;
  readonly lines: string;
  readonly sha256: string;
  readonly missing: readonly string[];
}

/** What moves is copied, and everything is listed. */
async function collect({ home, crypto, clock }: BackupOptions, work: string): Promise<List> {
  // The database first: what it calls published must be in the tree that is looked at after it.
  const moving: BackupFile[] = [];
  const keep = async (path: string, bytes?: Uint8Array): Promise<void> => {
    const place = join(work, path);
    await mkdir(dirname(place), { recursive: true });
    if (bytes !== undefined) await writeFileExclusive(place, bytes, { durable: false });
    moving.push({ path, ...(await hashFile(place)) });
  };
  await mkdir(join(work, data.private));
  await copyDatabase(join(home, data.database), join(work, data.database));
  await keep(data.database);
  for (const vendor of await new Suspended(home).list())
    await keep(data.suspended(vendor), Buffer.from(`${vendor}\n`));
  // A service that came back without it would let everything pass.
  const policy = await loadReviewPolicy(home);
  if (policy !== 'off') await keep(data.reviewPolicy, formatReviewPolicy(policy));
  const scanner = await loadScanner(home);
  if (scanner !== undefined) await keep(data.scanner, formatScanner(scanner));
  // Nor may it collect what somebody said is to be kept.
  const holds = await loadHolds(home);
  if (holds.length > 0) await keep(data.holds, formatHolds(holds));
  const published = await standingState(join(home, data.tree), crypto);
  const timestamp = published.files.get('timestamp');
  if (timestamp === undefined) throw new IronError('E_INTERNAL', 'a tree without its timestamp');
  await keep(`${data.tree}/${tree.timestamp}`, timestamp);

  const files = join(work, 'files');
  const listing = await open(files, 'wx');
  let [number, bytes] = [0, 0];
  const missing: string[] = [];
  const add = async (file: BackupFile): Promise<void> => {
    await writeAll(listing, formatLine(file));
    number += 1;
    bytes += file.length;
  };
  try {
    for await (const file of filesOf(published, (place) => missing.push(place)))
      await add({ ...file, path: `${data.tree}/${file.path}` });
    for (const file of moving) await add(file);
  } finally {
    await listing.close();
  }
  const about: BackupAbout = {
    schema: BACKUP_SCHEMA,
    created: formatInstant(clock()),
    root: published.root.version,
    timestamp: published.timestamp.version,
    snapshot: published.snapshot.version,
    files: number,
    bytes,
  };
  const lines = join(work, 'lines');
  const whole = await open(lines, 'wx');
  try {
    await writeAll(whole, formatLine(about));
    await append(whole, files);
  } finally {
    await whole.close();
  }
  const { length, sha256 } = await hashFile(lines);
  return { about, lines, sha256, head: formatHead(length, sha256), missing };
}

async function writeFile(
  options: BackupOptions,
  work: string,
  list: List,
  place: string,
): Promise<void> {
  const out = await open(place, 'wx', 0o600);
  try {
    await onPath(options.out, async () => {
      await writeAll(out, list.head);
      await append(out, list.lines);
      for await (const file of listed(list))
        await append(out, sourceOf(options, work, file), file, options);
      await out.sync();
    });
  } finally {
    await out.close();
  }
}

async function writeFolder(
  options: BackupOptions,
  work: string,
  list: List,
  place: string,
): Promise<void> {
  await mkdir(place, { mode: 0o700 });
  const manifest = await open(join(place, 'manifest'), 'wx', 0o600);
  try {
    await writeAll(manifest, list.head);
    await append(manifest, list.lines);
  } finally {
    await manifest.close();
  }
  const paths = new Set([place, join(place, 'manifest')]);
  for await (const file of listed(list)) {
    const to = join(place, 'files', file.path);
    await onPath(to, () => mkdir(dirname(to), { recursive: true }));
    for (let at = dirname(to); at !== place; at = dirname(at)) paths.add(at);
    const copy = await onPath(to, () => open(to, 'wx', 0o600));
    try {
      await append(copy, sourceOf(options, work, file), file, options);
    } finally {
      await copy.close();
    }
    paths.add(to);
  }
  await syncAll(place, [...paths]);
}

async function* listed({ lines }: List): AsyncGenerator<BackupFile> {
  const file = await openRegular(lines);
  try {
    let isFirst = true;
    for await (const line of linesOf(pieces(file))) {
      if (!isFirst) yield JSON.parse(Buffer.from(line).toString('utf8'));
      isFirst = false;
    }
  } finally {
    await file.close();
  }
}

/** What moves was copied; what never changes is read where it is. */
function sourceOf({ home }: BackupOptions, work: string, { path }: BackupFile): string {
  const isCopy = path === `${data.tree}/${tree.timestamp}` || path.startsWith(`${data.private}/`);
  return join(isCopy ? work : home, path);
}

/** Appends a file; with `wanted`, its bytes must be those that were listed. */
async function append(
  out: FileHandle,
  path: string,
  wanted?: BackupFile,
  options?: BackupOptions,
): Promise<void> {
  const from = await openRegular(path, { nofollow: true }).catch((cause) => {
    if (wanted === undefined || !isIronError(cause, 'E_NOT_FOUND')) throw cause;
    throw new IronError('E_STORE', `${wanted.path} is listed, and it is not there`, {
      why: 'it was published, and was neither collected nor called lost',
      hint: 'no backup was made; `ironport-repo mend` puts it back from a copy, and `ironport-repo lost declare` says that none has it',
      cause,
      context: { path: wanted.path },
    });
  });
  try {
    const how = options === undefined ? {} : streaming(options);
    const measured = await copyHashingInto(pieces(from), out, path, how);
    if (wanted !== undefined) demandSame(wanted, measured);
  } finally {
    await from.close();
  }
}

function streaming({ signal, onBytes }: BackupOptions): Pick<BackupOptions, 'signal' | 'onBytes'> {
  return {
    ...(signal === undefined ? {} : { signal }),
    ...(onBytes === undefined ? {} : { onBytes }),
  };
}

function demandSame(wanted: BackupFile, found: { length: number; sha256: string }): void {
  if (wanted.length === found.length && wanted.sha256 === found.sha256) return;
  throw new IronError('E_STORE', `${wanted.path} does not have the bytes that were signed`, {
    why: `its SHA-256 is ${found.sha256}`,
    hint: 'no backup was made; `ironport-repo fsck` lists all that is wrong',
    context: { path: wanted.path },
  });
}

/** Whoever asks for a backup never loses one. */
async function demandNothing(out: string): Promise<void> {
  try {
    await lstat(out);
  } catch (error) {
    if (isErrno(error) && error.code === 'ENOENT') return;
    throw error;
  }
  throw new IronError('E_EXISTS', `${out} exists already`, {
    hint: 'nothing was changed; give another name',
    context: { path: out },
  });
}
