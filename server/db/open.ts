/**
 * The service's database: a queue, a memory of nonces, and an index of the tree. What is in the
 * tree is the truth; `fsck --rebuild` makes the index again from it, and all that is lost with
 * the file are submissions that were not published yet.
 */

import Database from 'better-sqlite3';
import { type Code, IronError } from '../../shared/errors.ts';

export type Db = Database.Database;

/** One step a version. A step that was released is never changed: a new one is added. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE submissions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    vendor TEXT,
    role TEXT NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'published', 'refused')),
    error TEXT,
    snapshot INTEGER,
    timestamp INTEGER,
    created INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX submissions_by_state ON submissions (state, seq);
  CREATE TABLE submission_files (
    submission TEXT NOT NULL REFERENCES submissions (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (submission, position)
  ) STRICT;
  CREATE TABLE verdicts (
    submission TEXT NOT NULL REFERENCES submissions (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    ok INTEGER NOT NULL,
    detail TEXT NOT NULL,
    code TEXT,
    PRIMARY KEY (submission, position)
  ) STRICT;
  CREATE TABLE nonces (
    keyid TEXT NOT NULL,
    nonce TEXT NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (keyid, nonce)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX nonces_by_expiry ON nonces (expires);
  CREATE TABLE blobs (
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    length INTEGER NOT NULL,
    vendor TEXT NOT NULL,
    PRIMARY KEY (path, sha256)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX blobs_by_digest ON blobs (vendor, sha256);
  CREATE TABLE publications (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('staged', 'signed', 'preflighted', 'committed')),
    base TEXT NOT NULL,
    root_last INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE publication_members (
    publication TEXT NOT NULL REFERENCES publications (id) ON DELETE CASCADE,
    submission TEXT NOT NULL REFERENCES submissions (id),
    PRIMARY KEY (publication, submission)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE indexed (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    timestamp INTEGER NOT NULL
  ) STRICT;
  `,
  `
  CREATE TABLE submission_bins (
    submission TEXT NOT NULL REFERENCES submissions (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (submission, role)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE role_lives (
    role TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    began INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    warned INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    role TEXT NOT NULL,
    version INTEGER NOT NULL,
    began INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    threshold INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    due INTEGER NOT NULL
  ) STRICT;
  `,
  `
  CREATE TABLE drafts (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    vendor TEXT,
    opener TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'submitted', 'refused', 'stale', 'expired', 'dropped')),
    files TEXT NOT NULL,
    submission TEXT,
    error TEXT,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE draft_files (
    draft TEXT NOT NULL REFERENCES drafts (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (draft, position)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE nonce_bounds (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    boot TEXT NOT NULL,
    bound INTEGER NOT NULL,
    lost INTEGER NOT NULL
  ) STRICT;
  `,
  `
  CREATE TABLE reviews (
    submission TEXT PRIMARY KEY REFERENCES submissions (id) ON DELETE CASCADE,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'rejected', 'expired')),
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    reasons TEXT NOT NULL,
    ceilings TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX reviews_by_state ON reviews (state, until);
  CREATE TABLE review_files (
    submission TEXT NOT NULL REFERENCES reviews (submission) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    length INTEGER NOT NULL,
    PRIMARY KEY (submission, position)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE review_statements (
    submission TEXT NOT NULL REFERENCES reviews (submission) ON DELETE CASCADE,
    identity TEXT NOT NULL,
    keyid TEXT NOT NULL,
    result TEXT NOT NULL CHECK (result IN ('approved', 'rejected')),
    comment TEXT,
    envelope BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (submission, identity, result)
  ) STRICT, WITHOUT ROWID;
  CREATE VIEW ready AS SELECT * FROM submissions WHERE state = 'queued'
    AND NOT EXISTS (SELECT 1 FROM reviews
                    WHERE reviews.submission = submissions.id AND reviews.state = 'waiting');
  `,
  `
  ALTER TABLE blobs ADD COLUMN collected INTEGER NOT NULL DEFAULT 0;
  `,
  `
  ALTER TABLE submissions ADD COLUMN rescan INTEGER NOT NULL DEFAULT 0;
  `,
];

/**
 * Opens the database at `path` and brings it up to date. Every commit is on the disk when it
 * returns: an answer of ours may stand on it. `E_STORE` when it is damaged or of a newer program.
 */
export function openDatabase(path: string): Db {
  let db: Db | undefined;
  try {
    db = new Database(path, { timeout: 5000 });
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma('foreign_keys = ON');
    migrate(db, path);
    return db;
  } catch (cause) {
    db?.close();
    if (cause instanceof IronError) throw cause;
    throw new IronError('E_STORE', `the database ${path} cannot be opened`, {
      why: cause instanceof Error ? cause.message : String(cause),
      hint: 'move it away and run `ironport-repo fsck --rebuild`: the published tree is the truth',
      cause,
      context: { path },
    });
  }
}

/** Reads the database at `path`, beside whoever writes it. `E_STORE`, `E_LOCKED`, `E_NO_SPACE`, `E_IO`. */
export function readingOnly<T>(path: string, read: (db: Db) => T): T {
  const db = openReadOnly(path);
  try {
    return translated(db, () => read(db));
  } finally {
    db.close();
  }
}

/** `E_STORE` when it is of another version of the program than this one, which only reads it. */
export function demandThisVersion(db: Db): void {
  const version = db.pragma('user_version', { simple: true }) as number;
  if (version === MIGRATIONS.length) return;
  const which = version < MIGRATIONS.length ? 'an older' : 'a newer';
  throw new IronError(
    'E_STORE',
    `the database ${db.name} was made by ${which} version of ironport`,
    {
      hint: 'nothing was changed; run the same version as the service, or start the service again',
      context: { path: db.name, version },
    },
  );
}

function openReadOnly(path: string): Db {
  try {
    return new Database(path, { readonly: true, fileMustExist: true, timeout: 5000 });
  } catch (cause) {
    throw new IronError('E_STORE', `the database ${path} cannot be read`, {
      why: cause instanceof Error ? cause.message : String(cause),
      hint: 'nothing was changed; `ironport-repo fsck --rebuild`, while no service runs, makes it again',
      cause,
      context: { path },
    });
  }
}

/** `E_STORE` when the file of the database is damaged. */
export function demandSound(db: Db): void {
  const found = inTransaction(db, () => db.pragma('quick_check', { simple: true }));
  if (found === 'ok') return;
  throw new IronError('E_STORE', 'the database is damaged', { why: String(found).slice(0, 200) });
}

function migrate(db: Db, path: string): void {
  const version = db.pragma('user_version', { simple: true }) as number;
  if (version > MIGRATIONS.length) {
    throw new IronError('E_STORE', `the database ${path} was made by a newer version of ironport`, {
      hint: 'nothing was changed; run the newer version',
      context: { path, version },
    });
  }
  for (let next = version; next < MIGRATIONS.length; next++) {
    db.transaction(() => {
      db.exec(MIGRATIONS[next] as string);
      db.pragma(`user_version = ${next + 1}`);
    }).immediate();
  }
}

/** Statements that were prepared; to prepare one costs more than to run most of them. */
const statements = new WeakMap<Db, Map<string, Database.Statement>>();

/** The statement of this text; `sql` is one of the few that stand in the program. */
export function prepared(db: Db, sql: string): Database.Statement {
  const known = statements.get(db) ?? new Map<string, Database.Statement>();
  statements.set(db, known);
  const statement = known.get(sql) ?? db.prepare(sql);
  known.set(sql, statement);
  return statement;
}

/**
 * Makes a change, durably or not at all. What SQLite refuses becomes `E_NO_SPACE`, `E_STORE`,
 * `E_LOCKED` or `E_IO`: a full disk is no defect of this program.
 */
export function inTransaction<T>(db: Db, act: () => T): T {
  return translated(db, () => db.transaction(act).immediate());
}

/** Does `act`; what SQLite refuses is said in codes of ours. */
export function translated<T>(db: Db, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw error instanceof Database.SqliteError ? fromSqlite(error, db.name) : error;
  }
}

/**
 * Makes a change that outlives this process, however it ends, and need not outlive the machine:
 * there is no wait for the disk. Only for what is not missed after a power cut.
 */
export function inQuickTransaction<T>(db: Db, act: () => T): T {
  // sqlite.org/pragma.html#pragma_synchronous: in WAL mode NORMAL loses, with the power, what was
  // committed last, and is consistent all the same; the next FULL commit makes this durable too.
  db.pragma('synchronous = NORMAL');
  try {
    return inTransaction(db, act);
  } finally {
    db.pragma('synchronous = FULL');
  }
}

/** By the first words of its code: extended ones say where it happened. */
const MEANING: readonly (readonly [prefix: string, code: Code, what: string])[] = [
  ['SQLITE_FULL', 'E_NO_SPACE', 'the disk of the database is full'],
  ['SQLITE_CORRUPT', 'E_STORE', 'the database is damaged'],
  ['SQLITE_NOTADB', 'E_STORE', 'the database is damaged'],
  ['SQLITE_BUSY', 'E_LOCKED', 'another program holds the database'],
  ['SQLITE_READONLY', 'E_IO', 'the database cannot be written'],
  ['SQLITE_IOERR', 'E_IO', 'the database cannot be written'],
  ['SQLITE_CANTOPEN', 'E_IO', 'the database cannot be written'],
];

function fromSqlite(error: InstanceType<typeof Database.SqliteError>, path: string): Error {
  const row = MEANING.find(([prefix]) => error.code.startsWith(prefix));
  if (row === undefined) return error;
  const [, code, what] = row;
  const mend =
    'move it away and run `ironport-repo fsck --rebuild`: the published tree is the truth';
  return new IronError(code, what, {
    why: error.message,
    hint: code === 'E_STORE' ? `nothing was changed; ${mend}` : 'nothing was changed',
    cause: error,
    context: { path },
  });
}
