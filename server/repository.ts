/**
 * A repository as its one writer has it: the lock, the database, the tree, and what works on
 * them. The service opens it, and so do commands when no service runs.
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { toHex } from '../shared/bytes.ts';
import type { Crypto } from '../shared/crypto/crypto.ts';
import { rememberingDigests } from '../shared/crypto/digest-memory.ts';
import { rememberingVerified } from '../shared/crypto/verified-memory.ts';
import { IronError } from '../shared/errors.ts';
import { data } from '../shared/layout.ts';
import { bootId } from '../shared/node/boot.ts';
import { onPath } from '../shared/node/file-system.ts';
import { ensurePrivateFolder } from '../shared/node/folders.ts';
import { type Lock, takeLock } from '../shared/node/lock.ts';
import type { Random } from '../shared/node/random.ts';
import type { Passphrase } from '../shared/node/signers/file.ts';
import type { Clock } from '../shared/time.ts';
import { BlobIndex } from './db/blob-index.ts';
import { Drafts } from './db/drafts.ts';
import { Journal } from './db/journal.ts';
import { Lives } from './db/lives.ts';
import { Nonces } from './db/nonces.ts';
import { openDatabase } from './db/open.ts';
import { Queue } from './db/queue.ts';
import { Reviews } from './db/reviews.ts';
import { Intake } from './intake/intake.ts';
import { JudgedMemory } from './intake/judged.ts';
import { PendingChanges } from './intake/pending/pending.ts';
import { Receiver } from './intake/receive.ts';
import { ReviewDesk } from './intake/review/desk.ts';
import { Scanner } from './intake/scan/scanner.ts';
import { Worker } from './jobs/worker.ts';
import { NO_EVENTS, type RepositoryEvents } from './observe/events.ts';
import { OnlineKeys } from './publish/online-keys.ts';
import type { PublishParts } from './publish/parts.ts';
import { type Recovered, recover } from './publish/recovery.ts';
import { Expiries } from './storage/expiries.ts';
import { CurrentTree } from './storage/published.ts';
import { Quarantine } from './storage/quarantine.ts';
import { reindex } from './storage/reindex.ts';
import { Suspended } from './storage/suspended.ts';

export interface RepositoryOptions {
  /** The service's folder; made when it is not there. */
  readonly home: string;
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly random: Random;
  /** What the lock says about its holder. */
  readonly purpose: string;
  readonly passphrase?: Passphrase | undefined;
  /** Told of failures of this machine, which are tried again; with the request's id, if one met it. */
  readonly onFailure: (error: IronError, request?: string) => void;
  readonly events?: RepositoryEvents | undefined;
  /** Told of each point that a publication reaches. */
  readonly observe?: PublishParts['observe'] | undefined;
}

export interface Repository {
  readonly home: string;
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly random: Random;
  readonly current: CurrentTree;
  readonly intake: Intake;
  /** What waits for reviewers. */
  readonly desk: ReviewDesk;
  /** Changes that wait for signatures. */
  readonly pending: PendingChanges;
  readonly worker: Worker;
  readonly queue: Queue;
  readonly expiries: Expiries;
  readonly lives: Lives;
  readonly lock: Lock;
  /** What the last run left unfinished. */
  readonly recovered: Recovered;
  readonly onFailure: (error: IronError, request?: string) => void;
  /** Ends what runs, and lets the lock go. */
  close(): Promise<void>;
}

/** Opens the repository for writing, finishing what a crash left. `E_LOCKED` when another has it. */
export async function openRepository(options: RepositoryOptions): Promise<Repository> {
  const { home, clock, random, onFailure, events = NO_EVENTS } = options;
  const crypto = rememberingVerified(rememberingDigests(options.crypto));
  const at = (path: string): string => join(home, path);
  await onPath(home, () => mkdir(at(data.tree), { recursive: true }));
  await ensurePrivateFolder(at(data.private));
  await ensurePrivateFolder(at(data.quarantine));
  await ensurePrivateFolder(at(data.onlineKeys));
  const lock = await takeLock(at(data.writerLock), { purpose: options.purpose });
  try {
    const db = openDatabase(at(data.database));
    try {
      const current = new CurrentTree(at(data.tree), crypto);
      const quarantine = new Quarantine(home);
      const index = new BlobIndex(db);
      const queue = new Queue(db, (event) => events.refused(event));
      const keys = new OnlineKeys(at(data.onlineKeys), options.passphrase);
      await keys.load();
      const suspended = new Suspended(home);
      const shelves = { crypto, quarantine, index, judged: new JudgedMemory() };
      const reviews = new Reviews(db);
      const desk = new ReviewDesk({ home, crypto, clock, current, queue, reviews, shelves });
      const parts: PublishParts = {
        ...shelves,
        home,
        clock,
        random,
        current,
        queue,
        journal: new Journal(db),
        keys,
        suspended,
        reviews,
        desk,
        observe: options.observe ?? (() => {}),
      };
      const recovered = await recover(parts);
      // Without its index a path could be given other bytes than it once had (invariant 6). A new
      // database does not know the tree, and one that came back from a backup knows an older one.
      const standing = (await current.get())?.timestamp.version ?? 0;
      if (index.upTo() !== standing) await reindex(index, current.folder, standing);
      // Where nobody says which run of the machine this is, each start may have been a new one.
      const nonces = new Nonces(db, bootId() ?? toHex(random(16)));
      const receiver = new Receiver(quarantine, index, clock);
      const worker = new Worker(parts, {
        onFailure,
        onPublished: (event) => events.published(event),
        demandWriter: () => demandHeld(lock, at(data.writerLock)),
      });
      const intake = new Intake({
        ...shelves,
        ...{ clock, random, current, nonces, queue, receiver, suspended, desk },
        scanner: new Scanner({ home, shelves, onTrouble: onFailure }),
      });
      const drafts = new Drafts(db);
      return {
        home,
        crypto,
        clock,
        random,
        current,
        intake,
        desk,
        pending: new PendingChanges({ ...shelves, clock, current, queue, drafts, intake }),
        worker,
        queue,
        expiries: new Expiries(),
        lives: new Lives(db),
        lock,
        recovered,
        onFailure,
        async close() {
          intake.stop();
          await worker.close();
          db.close();
          lock.release();
        },
      };
    } catch (error) {
      db.close();
      throw error;
    }
  } catch (error) {
    lock.release();
    throw error;
  }
}

function demandHeld(lock: Lock, path: string): void {
  if (lock.isHeld()) return;
  throw new IronError('E_LOCKED', "the writer's lock is lost", {
    why: `${path} is not the file any more that this service locked: another process may write`,
    hint: 'nothing was published; stop every service of this folder, and start one',
    context: { path },
  });
}
