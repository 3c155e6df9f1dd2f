/**
 * Takes over a repository that other tools made: verified whole, it becomes a folder as `restore`
 * leaves one, by one rename. What is published stays as it is, down to the bytes; ours continue.
 */

import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { toHex } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { data, tree } from '../../shared/layout.ts';
import { beside } from '../../shared/node/beside.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { syncFolder, writeFileExclusive } from '../../shared/node/files.ts';
import { insideFolder } from '../../shared/node/folders.ts';
import { copyHashingInto, hashPieces } from '../../shared/node/hash.ts';
import { syncAll } from '../../shared/node/sync.ts';
import { type Clock, formatInstant } from '../../shared/time.ts';
import { BlobIndex } from '../db/blob-index.ts';
import { demandSound, openDatabase } from '../db/open.ts';
import { checkTree } from '../publish/fsck.ts';
import { READ_ONLY } from '../publish/stage.ts';
import { everyBlob } from '../storage/blobs.ts';
import { demandEmpty } from '../storage/empty-home.ts';
import { formatImported, IMPORTED_SCHEMA, type Imported } from '../storage/imported.ts';
import { type Obstacle, Obstacles } from './obstacles.ts';
import type { Source } from './source.ts';
import { takeTarget, type WantedTarget, wantedTargets } from './targets.ts';
import { type Found, verifyRepository } from './verify.ts';

export interface TakeOverOptions {
  readonly source: Source;
  /** The service's folder that will be: absent, or an empty folder. */
  readonly home: string;
  /** The bytes of the root 1 that is trusted. */
  readonly pinned: Uint8Array;
  readonly crypto: Crypto;
  readonly clock: Clock;
  /** Verify all of it, write nothing, and list every obstacle. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
  readonly onBytes?: (count: number) => void;
}

export interface TakeOverReport {
  readonly found: Found;
  readonly targets: number;
  readonly bytes: number;
  /** Only of a dry run: otherwise there are none. */
  readonly obstacles: readonly Obstacle[];
}

/** How many targets are fetched side by side. */
const AT_ONCE = 4;

/**
 * Takes it over. Everything is verified before anything is at `home`. What a client would throw;
 * `E_POLICY` for what has no place here, `E_NO_PIN`, `E_PIN_EXISTS`, `E_EXISTS`, `E_NO_SPACE`, `E_NETWORK`.
 */
export async function takeOver(options: TakeOverOptions): Promise<TakeOverReport> {
  const { home, clock } = options;
  await demandEmpty(home, 'import');
  const obstacles = new Obstacles();
  const found = await verifyRepository({ ...options, now: clock() }, obstacles);
  const wanted = wantedTargets(found.listing, obstacles);
  const report = {
    found,
    targets: wanted.length,
    bytes: wanted.reduce((n, one) => n + one.length, 0),
  };
  if (options.dryRun === true) {
    await beside(
      wanted,
      (target) =>
        obstacles.guard(target.path, () =>
          takeTarget(options.source, target, (pieces, cap) =>
            hashPieces(pieces, target.path, { ...streamOf(options), ...cap }),
          ),
        ),
      AT_ONCE,
    );
    return { ...report, obstacles: obstacles.list };
  }
  obstacles.demandNone();
  const work = join(dirname(home), `.tmp-${basename(home)}-${toHex(randomBytes(6))}`);
  try {
    await onPath(work, () => mkdir(work, { mode: 0o700 }));
    await write(work, found, wanted, options, obstacles);
    await verifyWritten(work, options, obstacles);
    obstacles.demandNone();
    await index(work, found.versions.timestamp);
    // Over an empty folder, and over nothing else (rename(2)).
    await onPath(home, () => rename(work, home));
    await syncFolder(dirname(home));
    return { ...report, obstacles: [] };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function streamOf({ signal, onBytes }: TakeOverOptions) {
  return {
    ...(signal === undefined ? {} : { signal }),
    ...(onBytes === undefined ? {} : { onBytes }),
  };
}

async function write(
  work: string,
  found: Found,
  wanted: readonly WantedTarget[],
  options: TakeOverOptions,
  obstacles: Obstacles,
): Promise<void> {
  const folder = join(work, data.tree);
  const touched = new Set([work]);
  /** The place of a file, with the folders down to it. */
  const placeOf = async (path: string): Promise<string> => {
    const place = await insideFolder(work, `${data.tree}/${path}`);
    await onPath(place, () => mkdir(dirname(place), { recursive: true, mode: 0o755 }));
    for (let at = dirname(place); at !== work; at = dirname(at)) touched.add(at);
    touched.add(place);
    return place;
  };
  await mkdir(folder, { mode: 0o755 });
  await mkdir(join(work, data.private), { mode: 0o700 });
  await mkdir(join(work, data.onlineKeys), { mode: 0o700 });
  const put = async (path: string, bytes: Uint8Array): Promise<void> => {
    await writeFileExclusive(await placeOf(path), bytes, { mode: READ_ONLY, durable: false });
  };
  for (const [path, bytes] of found.files) await put(path, bytes);
  await put(tree.imported, formatImported(noteOf(found, options.clock)));
  // One after the other: whether a place is inside is asked of folders that nobody makes meanwhile.
  const places = new Map<WantedTarget, string>();
  for (const target of wanted) places.set(target, await placeOf(target.place));
  const take = async (target: WantedTarget): Promise<void> => {
    const place = places.get(target) as string;
    await takeTarget(options.source, target, async (pieces, cap) => {
      const file = await onPath(place, () => open(place, 'wx', READ_ONLY));
      const stream = { ...streamOf(options), ...cap };
      return await copyHashingInto(pieces, file, place, stream).finally(() => file.close());
    });
  };
  await beside(wanted, (one) => obstacles.guard(one.path, () => take(one)), AT_ONCE);
  obstacles.demandNone();
  await syncAll(work, [...touched, join(work, data.private), join(work, data.onlineKeys)]);
}

function noteOf({ root, roles, versions, unreachable }: Found, clock: Clock): Imported {
  return {
    schema: IMPORTED_SCHEMA,
    at: formatInstant(clock()),
    root: root.version,
    first: { ...Object.fromEntries(roles), snapshot: versions.snapshot },
    unreachable: [...unreachable],
  };
}

/** What lies there now, by fsck, which runs the real client from root 1: expiry is said apart. */
async function verifyWritten(
  work: string,
  { crypto, signal }: TakeOverOptions,
  obstacles: Obstacles,
): Promise<void> {
  const { findings } = await checkTree(join(work, data.tree), {
    ...{ crypto, clock: () => 0 },
    ...(signal === undefined ? {} : { signal }),
  });
  for (const { at, what } of findings) obstacles.found(at, what);
}

/** As `fsck --rebuild` makes it: nothing about published bytes is known from elsewhere, and none were collected. */
async function index(work: string, timestamp: number): Promise<void> {
  const db = openDatabase(join(work, data.database));
  try {
    demandSound(db);
    await new BlobIndex(db).rebuild(everyBlob(join(work, data.tree)), timestamp, { collected: [] });
  } finally {
    db.close();
  }
}
