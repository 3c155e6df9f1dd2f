/** Puts the files of a publication where nobody sees them, laid out as they will lie in the tree. */

import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { toHex } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { revocations, tree } from '../../shared/layout.ts';
import { beside } from '../../shared/node/beside.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { writeFileExclusive } from '../../shared/node/files.ts';
import { ensurePrivateFolder } from '../../shared/node/folders.ts';
import { promptFiles } from '../../shared/node/prompt-files.ts';
import { syncAll } from '../../shared/node/sync.ts';
import { findBlob } from '../intake/examine.ts';
import type { Published } from '../storage/published.ts';
import type { Change } from './change.ts';
import { exists } from './exists.ts';
import { listFiles } from './list-files.ts';
import { type PublishParts, scratchOf, stagingOf } from './parts.ts';
import { addName } from './second-name.ts';
import { type PlacedTarget, targetListOf, writeTargetList } from './target-list.ts';

/** Files in the tree are read by whoever serves it, and changed by nobody. */
export const READ_ONLY = 0o444;

/**
 * Stages what was submitted, and notes it in the journal; returns the publication's id. When it
 * throws, nothing is left of it: a full disk must not become fuller with each attempt.
 */
export async function stage(
  parts: PublishParts,
  published: Published | undefined,
  change: Change,
): Promise<string> {
  const id = toHex(parts.random(12));
  const folder = stagingOf(parts, id);
  try {
    await ensurePrivateFolder(folder, { files: promptFiles });
    await stageFiles(parts, id, published, change);
    const base = published?.files.get('timestamp');
    parts.journal.begin(
      {
        id,
        base: base === undefined ? '' : toHex(parts.crypto.sha256(base)),
        members: change.members,
      },
      parts.clock(),
    );
  } catch (error) {
    await unstage(parts, id);
    throw error;
  }
  return id;
}

async function stageFiles(
  parts: PublishParts,
  id: string,
  published: Published | undefined,
  change: Change,
): Promise<void> {
  const folder = stagingOf(parts, id);
  await makeStagedFolder(folder, tree.metadataFolder);
  for (const { version, bytes } of change.roots) {
    await stageFile(folder, tree.metadata('root', version), bytes);
  }
  if (change.targets !== undefined) {
    const { version, bytes } = change.targets;
    await stageFile(folder, tree.metadata('targets', version), bytes);
  }
  const { role: listing, list } = change.revocations ?? {};
  if (listing !== undefined)
    await stageFile(folder, tree.metadata(revocations.role, listing.version), listing.bytes);
  if (list !== undefined) {
    const path = tree.target(revocations.list, toHex(parts.crypto.sha256(list)));
    await makeStagedFolder(folder, dirname(path));
    await stageFile(folder, path, list);
  }
  await beside(change.roles, async ({ vendor, role, version, source }) => {
    const file = tree.metadata(role, version);
    if ('bytes' in source) await stageFile(folder, file, source.bytes);
    else await stageBlob(parts, id, published, vendor, source.sha256, file);
  });
  const targets = new Map<string, PlacedTarget>();
  for (const { vendor, fresh } of change.roles) {
    for (const { path, sha256 } of fresh) {
      const place = tree.target(path, sha256);
      const from = await placeOf(parts, published, vendor, sha256, place);
      targets.set(place, { place, from });
    }
  }
  if (targets.size > 0) await writeTargetList(parts, id, [...targets.values()]);
}

async function placeOf(
  parts: PublishParts,
  published: Published | undefined,
  vendor: string,
  sha256: string,
  path: string,
): Promise<string> {
  const from = await findBlob(parts, published, vendor, sha256);
  if (from !== undefined) return from;
  throw new IronError('E_NOT_FOUND', `the bytes that become ${path} are gone`);
}

/** The same file under one name more: bytes are not copied on their way into the tree. */
async function stageBlob(
  parts: PublishParts,
  id: string,
  published: Published | undefined,
  vendor: string,
  sha256: string,
  path: string,
): Promise<void> {
  const from = await placeOf(parts, published, vendor, sha256, path);
  const place = join(stagingOf(parts, id), path);
  const add = (): Promise<void> => addName(from, place, scratchOf(parts, id)).catch(unlessThere);
  await onPath(path, add, 'E_NOT_FOUND');
}

/**
 * Makes all that is staged durable, with one wait for the disk. Before this a crash drops the
 * publication; from here on it may be noted as one that will be finished.
 */
export async function settleStaged(parts: PublishParts, id: string): Promise<void> {
  const folder = stagingOf(parts, id);
  const paths = new Set([dirname(folder), folder]);
  const list = targetListOf(parts, id);
  if (await exists(list)) paths.add(list);
  for (const file of await listFiles(folder)) {
    for (let at = dirname(file); at !== '.'; at = dirname(at)) paths.add(join(folder, at));
    // Uploaded roles were made durable when they came in; to sync a file again that is on the disk
    // costs nothing.
    paths.add(join(folder, file));
  }
  await syncAll(folder, [...paths]);
}

/** Removes whatever lies there of a publication that is over. */
export async function unstage(parts: PublishParts, id: string): Promise<void> {
  for (const place of [stagingOf(parts, id), targetListOf(parts, id)])
    await rm(place, { recursive: true, force: true });
}

/** Two roles of one publication may be the same bytes under the same name. */
function unlessThere(error: unknown): void {
  if (!isErrno(error) || error.code !== 'EEXIST') throw error;
}

async function makeStagedFolder(folder: string, path: string): Promise<void> {
  await onPath(path, () => promptFiles.makeFolder(join(folder, path)));
}

/** A metadata file among the staged ones; `settleStaged` makes it durable. */
export async function stageFile(folder: string, path: string, bytes: Uint8Array): Promise<void> {
  const options = { mode: READ_ONLY, durable: false, files: promptFiles };
  await writeFileExclusive(join(folder, path), bytes, options);
}
