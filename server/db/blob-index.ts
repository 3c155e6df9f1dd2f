/** Which bytes were published under which path: an index of the tree, made again from it by fsck. */

import { type Db, inQuickTransaction, inTransaction, prepared } from './open.ts';

export interface PublishedBlob {
  readonly path: string;
  readonly sha256: string;
  readonly length: number;
  readonly vendor: string;
}

/** What a tree says besides what its role files list. */
export interface BesidesListed {
  /** Names whose bytes are not there any more. */
  readonly collected: readonly Pick<PublishedBlob, 'path' | 'sha256'>[];
  /** Vendors whose files do not say all that was published: what was known of them stays known. */
  readonly incomplete?: ReadonlySet<string>;
  /** Names that were published by them, as far as places in the tree say. */
  readonly placed?: readonly PublishedBlob[];
}

/** Entries of one transaction when the index is made again. */
const AT_ONCE = 10_000;

export class BlobIndex {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  /** A published file of this vendor with these bytes that is there still, whatever its path. */
  find(vendor: string, sha256: string): PublishedBlob | undefined {
    return prepared(
      this.#db,
      'SELECT path, sha256, length, vendor FROM blobs WHERE vendor = ? AND sha256 = ? AND collected = 0',
    ).get(vendor, sha256) as PublishedBlob | undefined;
  }

  /** Whether this vendor ever published anything. */
  has(vendor: string): boolean {
    return (
      this.#db.prepare('SELECT 1 FROM blobs WHERE vendor = ? LIMIT 1').get(vendor) !== undefined
    );
  }

  /** The digests that a path ever had, collected or not: a name never has other bytes. */
  digestsOf(path: string): string[] {
    const rows = prepared(this.#db, 'SELECT sha256 FROM blobs WHERE path = ?').all(path) as {
      sha256: string;
    }[];
    return rows.map(({ sha256 }) => sha256);
  }

  add(blobs: Iterable<PublishedBlob>): void {
    const insert = prepared(
      this.#db,
      `INSERT INTO blobs (path, sha256, length, vendor) VALUES (?, ?, ?, ?)
       ON CONFLICT (path, sha256) DO UPDATE SET collected = 0 WHERE collected = 1`,
    );
    for (const { path, sha256, length, vendor } of blobs) insert.run(path, sha256, length, vendor);
  }

  /** Notes, durably, that these bytes are not to be counted on any more. */
  collected(names: Iterable<Pick<PublishedBlob, 'path' | 'sha256'>>): void {
    inTransaction(this.#db, () => this.#noteCollected(names));
  }

  #noteCollected(names: Iterable<Pick<PublishedBlob, 'path' | 'sha256'>>): void {
    const note = prepared(this.#db, 'UPDATE blobs SET collected = 1 WHERE path = ? AND sha256 = ?');
    for (const { path, sha256 } of names) note.run(path, sha256);
  }

  /** Version of the timestamp up to which the index knows the tree; undefined when nobody said. */
  upTo(): number | undefined {
    const row = prepared(this.#db, 'SELECT timestamp FROM indexed').get();
    return (row as { timestamp: number } | undefined)?.timestamp;
  }

  /** Notes that it knows the tree up to this version, with whatever made it so. */
  reaches(timestamp: number): void {
    prepared(this.#db, 'INSERT OR REPLACE INTO indexed (only, timestamp) VALUES (1, ?)').run(
      timestamp,
    );
  }

  /**
   * Replaces the whole index, which then knows the tree up to version `timestamp`; returns how many
   * entries it has now. Cut short, it says that it knows nothing and is made again.
   */
  async rebuild(
    files: AsyncIterable<readonly PublishedBlob[]>,
    timestamp: number,
    besides: BesidesListed,
  ): Promise<number> {
    const { incomplete = new Set() } = besides;
    inTransaction(this.#db, () => {
      prepared(this.#db, 'DELETE FROM indexed').run();
      const vendors = JSON.stringify([...incomplete]);
      const those = 'IN (SELECT value FROM json_each(?))';
      prepared(this.#db, `DELETE FROM blobs WHERE vendor NOT ${those}`).run(vendors);
      // Until the tree lists one of them again.
      prepared(this.#db, `UPDATE blobs SET collected = 1 WHERE vendor ${those}`).run(vendors);
    });
    // Paths and digests come in no order: with SQLite's own 2 MiB most of them would wait for a page.
    this.#db.pragma('cache_size = -65536');
    try {
      return await this.#rebuildFrom(files, timestamp, besides);
    } finally {
      this.#db.pragma('cache_size = -2000');
    }
  }

  async #rebuildFrom(
    files: AsyncIterable<readonly PublishedBlob[]>,
    timestamp: number,
    { collected, placed = [] }: BesidesListed,
  ): Promise<number> {
    let waiting: PublishedBlob[] = [];
    for await (const blobs of files) {
      for (const blob of blobs) waiting.push(blob);
      if (waiting.length < AT_ONCE) continue;
      const ready = waiting;
      waiting = [];
      // Durable with the last one, which alone says that the index is whole.
      inQuickTransaction(this.#db, () => this.add(ready));
    }
    return inTransaction(this.#db, () => {
      this.add(waiting);
      this.#noteCollected(collected);
      const note = prepared(
        this.#db,
        `INSERT OR IGNORE INTO blobs (path, sha256, length, vendor, collected) VALUES (?, ?, ?, ?, 1)`,
      );
      for (const { path, sha256, length, vendor } of placed) note.run(path, sha256, length, vendor);
      this.reaches(timestamp);
      return (prepared(this.#db, 'SELECT count(*) AS n FROM blobs').get() as { n: number }).n;
    });
  }
}
