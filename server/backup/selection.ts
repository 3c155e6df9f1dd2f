/** What belongs to one published state, while the service goes on publishing over it. */

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { revocations, tree } from '../../shared/layout.ts';
import { LOST_LIMITS, METADATA_LIMITS } from '../../shared/limits.ts';
import { isOtherKind, readFileCapped } from '../../shared/node/files.ts';
import { hashFile } from '../../shared/node/hash.ts';
import { parseLost } from '../../shared/tuf/lost.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { exists } from '../publish/exists.ts';
import { blobsOf, mayList, roleFiles } from '../storage/blobs.ts';
import { loadImported } from '../storage/imported.ts';
import { isCollected } from '../storage/is-collected.ts';
import { loadPublished, type Published } from '../storage/published.ts';
import type { RoleFileName } from '../storage/role-files.ts';
import type { BackupFile } from './manifest.ts';

/** Looks at a moment between two files of one publication are repeated. */
const LOOKS = 20;
const WAIT_MS = 100;

/**
 * The published state of this moment, verified from root 1 on. Between the first and the last file
 * of a publication the tree may not verify, for some milliseconds; then it is looked at again.
 * `E_NOTHING_TO_DO` when nothing is published, `E_STORE` when it does not verify at all.
 */
export async function standingState(folder: string, crypto: Crypto): Promise<Published> {
  for (let look = 1; ; look++) {
    try {
      const published = await loadPublished(folder, crypto);
      if (published !== undefined) return published;
      throw new IronError('E_NOTHING_TO_DO', 'nothing is published here yet');
    } catch (error) {
      if (!isIronError(error, 'E_STORE') || look >= LOOKS) throw error;
      await sleep(WAIT_MS);
    }
  }
}

/**
 * Every file of the tree that this state or one before it is made of, by its place in the tree,
 * without the timestamp: all are immutable, and what comes later is not among them.
 * @param onMissing told of versions of roles that lack and that nobody called lost
 */
export async function* filesOf(
  published: Published,
  onMissing: (place: string) => void = () => {},
): AsyncGenerator<BackupFile> {
  const { folder } = published;
  const seen = new Set<string>();
  const lost = parseLost(published.targets.envelope.signed);
  const imported = await loadImported(folder);
  const files = await roleFiles(folder);
  for (const place of gapsOf(published, files, imported?.first ?? {}))
    if (!lost.has(place)) onMissing(place);
  if (imported !== undefined)
    yield { path: tree.imported, ...(await hashFile(join(folder, tree.imported))) };
  for (const file of files) {
    const { path, role, version } = file;
    if (version > lastVersion(published, role)) continue;
    const { length, sha256 } = await hashFile(join(folder, path), { nofollow: true }).catch(
      (cause) => {
        if (!isOtherKind(cause)) throw cause;
        throw new IronError('E_STORE', `${path} is no file`, {
          why: cause.why ?? cause.message,
          hint: 'no backup was made; move it away, and `ironport-repo mend` puts back the file from a copy',
          cause,
          context: { path },
        });
      },
    );
    yield { path, length, sha256 };
    if (!mayList(file)) continue;
    const bytes = await readFileCapped(join(folder, path), METADATA_LIMITS.targets);
    for (const blob of blobsOf(parseTargets(bytes, role), role)) {
      const place = tree.target(blob.path, blob.sha256);
      if (seen.has(place)) continue;
      seen.add(place);
      if (lost.has(place) && !(await exists(join(folder, place)))) continue;
      const mark = tree.mark(place);
      const isGone = !(await exists(join(folder, place))) && (await isCollected(folder, place));
      yield isGone && mark !== undefined
        ? { path: mark, ...NOTHING }
        : { path: place, length: blob.length, sha256: blob.sha256 };
    }
  }
}

/** Versions that lack between the first one and that in force; so many at the most. */
function* gapsOf(
  published: Published,
  files: readonly RoleFileName[],
  first: Readonly<Record<string, number>>,
): Generator<string> {
  const there = Map.groupBy(files, ({ role }) => role);
  let room: number = LOST_LIMITS.places;
  for (const [role, some] of there) {
    // A machine that renews on its own may skip a version that nobody came to see.
    if (role === revocations.role) continue;
    const versions = new Set(some.map(({ version }) => version));
    for (let at = first[role] ?? 1; at <= lastVersion(published, role) && room > 0; at++) {
      if (versions.has(at)) continue;
      room -= 1;
      yield tree.metadata(role, at);
    }
  }
}

/** An empty file. */
const NOTHING = { length: 0, sha256: createHash('sha256').digest('hex') } as const;

function lastVersion(published: Published, role: string): number {
  if (role === 'root') return published.root.version;
  if (role === 'snapshot') return published.snapshot.version;
  return published.version(role);
}
