/**
 * A lock between processes that a crash releases.
 *
 * Node has no flock(2). A file with a process id in it can be stale, and judging that it is goes
 * wrong across containers; so the lock is the kernel's: an exclusive transaction of Node's own
 * SQLite on an empty file, which is a POSIX record lock underneath. It ends with the process,
 * however that ends, and writes nothing.
 *
 * The lock file is never deleted and never opened by anything else in the process: closing any
 * descriptor of it would drop the lock (fcntl(2)).
 */

import {
  lstatSync,
  readdirSync,
  readFileSync,
  type Stats,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { setTimeout } from 'node:timers/promises';
import { fromUtf8 } from '../bytes.ts';
import { IronError } from '../errors.ts';
import { kindOf, readFileCapped } from './files.ts';

export interface LockOptions {
  /** How long to wait for another holder; 0, the default, is not at all. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
  /** What the holder does, for the message that others get: `ironport-repo start`. */
  readonly purpose?: string;
}

export interface Lock {
  release(): void;
  /**
   * Whether it still guards anything: its file is the one that others would lock, and the kernel
   * holds the lock for us. A file that was deleted or replaced locks nobody out.
   */
  isHeld(): boolean;
}

/** Runs `act` while holding the lock at `path`. `E_LOCKED` when it does not come free in time. */
export async function withLock<T>(
  path: string,
  act: () => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  // Nobody asks of this one whether it is held, so nothing is looked up for the answer.
  const database = await waitForLock(path, options);
  try {
    return await act();
  } finally {
    release(path, database);
  }
}

/** Takes the lock for as long as the process lives or until `release`. */
export async function takeLock(path: string, options: LockOptions = {}): Promise<Lock> {
  const database = await waitForLock(path, options);
  const { dev, ino } = statSync(path, { bigint: true });
  const list = kernelList(dev, ino);
  return {
    release: () => release(path, database),
    isHeld: () =>
      database.isOpen && isSameFile(path, dev, ino) && (list === undefined || isListed(list, ino)),
  };
}

/** The open transaction that is the lock, and the word of who has it beside it. */
async function waitForLock(path: string, options: LockOptions): Promise<DatabaseSync> {
  const { waitMs = 0, signal, purpose = 'work' } = options;
  const until = monotonicMs() + waitMs;
  for (;;) {
    signal?.throwIfAborted();
    const database = tryLock(path);
    if (database !== undefined) {
      writeHolder(path, purpose);
      return database;
    }
    const left = until - monotonicMs();
    if (left <= 0) throw await locked(path);
    // Uneven, so that waiters do not keep meeting.
    await setTimeout(Math.min(left, 5 + 30 * Math.random()), undefined, { signal }).catch(() =>
      signal?.throwIfAborted(),
    );
  }
}

function writeHolder(path: string, purpose: string): void {
  try {
    writeFileSync(holderFile(path), `process ${process.pid}: ${purpose}\n`);
  } catch {
    // It is for messages only.
  }
}

/** Looked at by name: to open the file and close it again would drop the lock. */
function isSameFile(path: string, dev: bigint, ino: bigint): boolean {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found !== undefined && found.dev === dev && found.ino === ino;
}

/**
 * Where the kernel says that the lock is ours. By the descriptor that has it (proc_pid_fdinfo(5)): its
 * list of all locks (proc_locks(5)) stops those who lock meanwhile, and takes some milliseconds
 * beside a busy database. Undefined where neither shows the lock at once (no /proc, a file system
 * with other numbers): its not being there later would say nothing.
 */
function kernelList(dev: bigint, ino: bigint): string | undefined {
  const ours = ownDescriptors(dev, ino).map((fd) => `/proc/self/fdinfo/${fd}`);
  return [...ours, '/proc/locks'].find((list) => isListed(list, ino));
}

/** Descriptors of this process that are of the file; found without opening it. */
function ownDescriptors(dev: bigint, ino: bigint): string[] {
  const folder = '/proc/self/fd';
  try {
    return readdirSync(folder).filter((fd) => isSameFile(`${folder}/${fd}`, dev, ino));
  } catch {
    return [];
  }
}

/** Whether `list` has a record lock of this process on the file: `… WRITE PID MAJ:MIN:INO …`. */
function isListed(list: string, ino: bigint): boolean {
  try {
    const wanted = new RegExp(`WRITE +${process.pid} [0-9a-f]+:[0-9a-f]+:${ino} `);
    return wanted.test(readFileSync(list, 'latin1'));
  } catch {
    return false;
  }
}

/** `performance.now()` without loading what else is in that module, at every start that locks. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

/** The open transaction that is the lock, or undefined when another has it. */
function tryLock(path: string): DatabaseSync | undefined {
  demandFile(path);
  const { DatabaseSync } = sqlite();
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    // A journal on the disk would be a file more for each lock, and none to be had on a full disk.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database?.close();
    if (isBusy(error)) return undefined;
    throw new IronError(isFull(error) ? 'E_NO_SPACE' : 'E_IO', `the lock ${path} cannot be taken`, {
      why: error instanceof Error ? error.message : String(error),
      hint: 'nothing was changed; look whether its folder exists and can be written',
      cause: error,
      context: { path },
    });
  }
}

/** Nothing else is opened: SQLite would follow a link, and wait for what a pipe never says. */
function demandFile(path: string): void {
  let found: Stats | undefined;
  try {
    found = lstatSync(path, { throwIfNoEntry: false });
  } catch {
    // That its folder is none, say: opening it says so, too.
  }
  if (found === undefined || found.isFile()) return;
  throw new IronError('E_IO', `the lock ${path} is not a regular file`, {
    why: `it is ${kindOf(found)}`,
    hint: 'nothing was changed; nobody can hold it as it is: remove it, and run this again',
    context: { path, kind: kindOf(found) },
  });
}

/** SQLITE_BUSY; the low byte is the code, the rest its variety. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === 5;
}

/** SQLITE_FULL: even an empty transaction wants a block for its journal. */
function isFull(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === 13;
}

function release(path: string, database: DatabaseSync): void {
  if (!database.isOpen) return;
  try {
    // Before the lock goes: the next holder writes its own.
    unlinkSync(holderFile(path));
  } catch {
    // It is for messages only.
  }
  database.close();
}

async function locked(path: string): Promise<IronError> {
  const holder = await readFileCapped(holderFile(path), 1024).then(
    (bytes) => fromUtf8(bytes).trim(),
    () => 'another process',
  );
  return new IronError('E_LOCKED', `${path} is held by ${holder}`, {
    why: 'only one process at a time may change what this lock guards',
    hint: 'nothing was changed; wait for it to end, and run this again',
    context: { path, holder },
  });
}

/** For messages only: nothing is ever decided by it. */
function holderFile(path: string): string {
  return `${path}.holder`;
}

function sqlite(): typeof import('node:sqlite') {
  // Node 22 calls the module experimental at its first use, on stderr; Node 24 no longer does.
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return process.getBuiltinModule('node:sqlite');
  } finally {
    process.emitWarning = emitWarning;
  }
}
