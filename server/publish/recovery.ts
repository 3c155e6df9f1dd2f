/**
 * After a crash: a publication that passed preflight is finished, any other never was. Whatever
 * else lies in the staging folder belongs to nobody.
 */

import { createHash } from 'node:crypto';
import { readdir, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { data, revocations as place, tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { beside } from '../../shared/node/beside.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { isTemporaryName, readFileCapped } from '../../shared/node/files.ts';
import { promptFiles } from '../../shared/node/prompt-files.ts';
import { vendorOfRole } from '../../shared/tuf/names.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { parseTimestamp } from '../../shared/tuf/timestamp.ts';
import type { PublishedBlob } from '../db/blob-index.ts';
import type { Publication } from '../db/journal.ts';
import { blobsOf } from '../storage/blobs.ts';
import { decodeRoleFile } from '../storage/role-files.ts';
import type { Change } from './change.ts';
import { placeFiles } from './commit.ts';
import { listFiles } from './list-files.ts';
import { type PublishParts, stagingOf } from './parts.ts';
import type { Versions } from './sign.ts';
import { unstage } from './stage.ts';

/** What was found and what became of it. */
export interface Recovered {
  readonly finished: number;
  readonly dropped: number;
}

/** Finishes or drops every publication that the journal holds open. */
export async function recover(parts: PublishParts): Promise<Recovered> {
  let finished = 0;
  let dropped = 0;
  for (const publication of parts.journal.unfinished()) {
    if (publication.state === 'preflighted') {
      await commit(parts, publication);
      finished += 1;
    } else {
      parts.journal.discard(publication.id);
      dropped += 1;
    }
  }
  // Everything open is closed now: what is staged, was finished before or never noted.
  await rm(join(parts.home, data.staging), { recursive: true, force: true });
  await removeTemporaries(join(parts.current.folder, tree.metadataFolder));
  return { finished, dropped };
}

/** What a publication brings into the index, and what it need not keep in quarantine any more. */
export interface Brought {
  readonly blobs: readonly PublishedBlob[];
  readonly spent: readonly { readonly vendor: string; readonly sha256: string }[];
}

/** The same of a change that is at hand. */
export function broughtBy({ roles, revocations }: Change): Brought {
  const listing = revocations?.role?.parsed;
  const listed = listing === undefined ? [] : blobsOf(listing, place.role);
  const blobs = roles.flatMap(({ vendor, fresh }) => fresh.map((one) => ({ ...one, vendor })));
  const files = roles.flatMap(({ vendor, source }) =>
    'sha256' in source ? [{ vendor, sha256: source.sha256 }] : [],
  );
  return { blobs: [...blobs, ...listed], spent: [...blobs, ...files] };
}

/**
 * Makes a publication that passed preflight visible, and notes it. What it brings is read from the
 * staged files when nobody knows it any more.
 * @param onCommitted told when it is visible and noted, before what it no longer needs is removed
 */
export async function commit(
  parts: PublishParts,
  publication: Publication,
  known?: Brought,
  onCommitted: () => void = () => {},
): Promise<Versions> {
  const folder = stagingOf(parts, publication.id);
  await placeFiles(parts, publication);
  parts.current.changed();
  await parts.observe('placed');
  const { blobs, spent } = known ?? (await stagedBlobs(folder));
  const versions = await stagedVersions(folder);
  parts.journal.committed(publication, versions, parts.queue, parts.index, blobs);
  for (const vendor of new Set(spent.map((one) => one.vendor))) parts.judged.published(vendor);
  await parts.observe('committed');
  onCommitted();
  // The names in quarantine and staging go; the bytes have their names in the tree.
  await beside(spent, ({ vendor, sha256 }) => parts.quarantine.remove(vendor, sha256));
  await unstage(parts, publication.id);
  return versions;
}

/** The versions that the staged timestamp makes current. */
async function stagedVersions(folder: string): Promise<Versions> {
  const { version, snapshot } = parseTimestamp(
    await readFileCapped(join(folder, tree.timestamp), METADATA_LIMITS.timestamp, {
      files: promptFiles,
    }),
  );
  return { timestamp: version, snapshot: snapshot.version };
}

/** Every target that the staged vendor roles list, for the index. */
async function stagedBlobs(folder: string): Promise<Brought> {
  const blobs: PublishedBlob[] = [];
  const spent: { vendor: string; sha256: string }[] = [];
  for (const path of await listFiles(folder)) {
    const file = decodeRoleFile(path);
    if (file === undefined || file.isTopLevel) continue;
    const bytes = await readFileCapped(join(folder, path), METADATA_LIMITS.targets);
    const vendor = vendorOfRole(file.role);
    for (const blob of blobsOf(parseTargets(bytes, file.role), vendor)) {
      blobs.push(blob);
      spent.push(blob);
    }
    spent.push({ vendor, sha256: createHash('sha256').update(bytes).digest('hex') });
  }
  return { blobs, spent };
}

async function removeTemporaries(folder: string): Promise<void> {
  try {
    for (const name of await readdir(folder)) {
      if (isTemporaryName(name)) await unlink(join(folder, name));
    }
  } catch (error) {
    if (!isErrno(error) || error.code !== 'ENOENT') throw error;
  }
}
