/**
 * The hand-over folder: the record by which everything can be verified again, the artifact and its
 * sidecars. It appears under its name when it is whole, and not before.
 */

import { lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { IronError } from '../../shared/errors.ts';
import { formatRecord, type HandoffFile, type HandoffRecord } from '../../shared/handoff/record.ts';
import { handoff } from '../../shared/layout.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { openRegular, syncFolder, writeFileAtomic } from '../../shared/node/files.ts';
import { pieces } from '../../shared/node/hash.ts';
import type { TargetEntry } from '../../shared/tuf/targets.ts';
import { downloadTarget } from '../download.ts';
import { tooLong } from '../fetch/capped.ts';
import type { Source } from '../fetch/source.ts';
import type { VerifiedTarget } from '../verify-target.ts';

/** What of a verified target goes into a hand-over. */
export type HandedOver = Pick<VerifiedTarget, 'target' | 'sidecars' | 'updater'> & {
  readonly verdict: HandoffFile;
};

export interface WriteHandoffOptions {
  readonly verified: HandedOver;
  /** Where the artifact comes from: the repository, or `localSource`. */
  readonly source: Source;
  readonly folder: string;
  /** Whether a hand-over that stands there may be replaced. */
  readonly replace?: boolean;
  readonly lockFolder?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/** Writes the folder and returns its record. `E_EXISTS` when something stands there. */
export async function writeHandoff(options: WriteHandoffOptions): Promise<HandoffRecord> {
  const { verified, folder } = options;
  const place = resolve(folder);
  await demandFree(place, options.replace === true);
  // A name of its own for each place, so that a broken run is taken up by the next one.
  const draft = join(dirname(place), `.ironport-handoff-${basename(place)}`);
  const record = makeRecord(verified);
  await onPath(draft, async () => {
    await mkdir(join(draft, dirname(handoff.target(verified.target.path))), { recursive: true });
  });
  await keepOnly(draft, verified.target.path);
  await downloadTarget({
    fetcher: options.source,
    target: verified.target,
    out: join(draft, handoff.target(verified.target.path)),
    lockFolder: options.lockFolder,
    signal: options.signal,
    onBytes: options.onBytes,
  });
  for (const { found, bytes } of verified.sidecars.values()) {
    await writeFileAtomic(join(draft, handoff.target(found.entry.path)), bytes);
  }
  await writeFileAtomic(join(draft, handoff.record), formatRecord(record));
  await onPath(place, () => putInPlace(draft, place));
  return record;
}

/** The files of this run: who repeats the walk needs exactly those that it visited. */
export function makeRecord({ verdict, sidecars, updater }: HandedOver): HandoffRecord {
  const { roots, roles, revocations } = updater.files;
  const [timestamp, snapshot] = [roles.get('timestamp'), roles.get('snapshot')];
  if (timestamp === undefined || snapshot === undefined) {
    throw new IronError('E_INTERNAL', 'a verified run without its timestamp or snapshot');
  }
  return {
    artifact: { path: verdict.path, length: verdict.length, sha256: verdict.sha256 },
    sidecars: [...sidecars.values()].map(({ found }) => describe(found.entry)),
    roots,
    timestamp,
    snapshot,
    roles: new Map([...roles].filter(([role]) => role !== 'timestamp' && role !== 'snapshot')),
    revocations: revocations?.bytes,
  };
}

function describe({ path, length, hashes }: TargetEntry): HandoffFile {
  const sha256 = hashes.get('sha256');
  // The evidence policy held it against a SHA-256; an entry without one cannot be handed over.
  if (sha256 === undefined) throw new IronError('E_HASH', `the entry of ${path} has no SHA-256`);
  return { path, length, sha256 };
}

async function demandFree(place: string, replace: boolean): Promise<void> {
  const found = await lstat(place).catch(() => undefined);
  if (found === undefined) return;
  const isHandoff = await lstat(join(place, handoff.record)).then(
    () => found.isDirectory(),
    () => false,
  );
  if (replace && isHandoff) return;
  throw new IronError('E_EXISTS', `${place} exists already`, {
    why: isHandoff ? 'it is an earlier hand-over' : 'it is not a hand-over',
    hint: isHandoff
      ? 'nothing was changed; give --replace, or another folder'
      : 'nothing was changed; give a folder that does not exist yet',
    context: { path: place },
  });
}

/** Empties a draft of everything but the artifact and what there is of it already. */
async function keepOnly(draft: string, path: string): Promise<void> {
  const name = basename(handoff.target(path));
  const targets = join(draft, dirname(handoff.target(path)));
  for (const found of await readdir(draft)) {
    if (found !== basename(targets)) await rm(join(draft, found), { recursive: true });
  }
  for (const found of await readdir(targets)) {
    if (found !== name && !found.startsWith('.ironport-')) {
      await rm(join(targets, found), { recursive: true });
    }
  }
}

async function putInPlace(draft: string, place: string): Promise<void> {
  await syncFolder(join(draft, dirname(handoff.target('x'))));
  await syncFolder(draft);
  const old = `${draft}-old`;
  await rm(old, { recursive: true, force: true });
  // A reader sees the earlier hand-over, none, or the new one; never parts of both.
  await rename(place, old).catch((error) => {
    if (error?.code !== 'ENOENT') throw error;
  });
  await rename(draft, place);
  await syncFolder(dirname(place));
  await rm(old, { recursive: true, force: true });
}

/** An artifact that is here already; it is hashed again while it is copied. */
export function localSource(path: string): Source {
  return {
    origin: path,
    async openFile(_place, length) {
      const file = await openRegular(path);
      const content = async function* (): AsyncGenerator<Uint8Array, void> {
        let total = 0;
        try {
          for await (const piece of pieces(file)) {
            total += piece.length;
            if (total > length) throw tooLong(path, length);
            yield piece;
          }
        } finally {
          await file.close();
        }
      };
      return { start: 0, validator: undefined, pieces: content() };
    },
  };
}
