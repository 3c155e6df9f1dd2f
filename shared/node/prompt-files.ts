/**
 * The calls of the file system that a publication consists of, made at once in place of by a thread
 * of the pool. A name, a look or a small file takes the kernel some microseconds when what it is about
 * is in memory, and what was just written is; the hop to a thread and back takes ten times as long, in
 * processor time too, and a publication makes hundreds of such calls. Waits for the disk itself
 * (`sync`) stay with the threads.
 *
 * Only for small files in folders of our own on a disk of this machine. Whoever else is served
 * meanwhile waits for a bounded number of calls: after so many the event loop has its turn.
 */

import {
  accessSync,
  chmodSync,
  closeSync,
  type Dirent,
  fchmodSync,
  fstatSync,
  fsync,
  futimesSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { FileSystem, OpenFile } from './file-system.ts';
import { systemFiles } from './file-system.ts';

/** Calls between two turns of the event loop: less than two milliseconds of an idle disk. */
const CALLS_A_TURN = 64;

let left = CALLS_A_TURN;

/** Makes a call; before it the event loop has its turn when it is due. */
async function make<T>(call: () => T): Promise<T> {
  left -= 1;
  if (left <= 0) {
    await setImmediate();
    left = CALLS_A_TURN;
  }
  return call();
}

const wait = promisify(fsync);

/** A file that is open, with what else is done to one that is written. */
export class PromptFile implements OpenFile {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  read(buffer: Uint8Array, offset: number, length: number, position: number | null) {
    return make(() => ({ bytesRead: readSync(this.#fd, buffer, offset, length, position) }));
  }

  write(buffer: Uint8Array, offset: number, length: number) {
    return make(() => ({ bytesWritten: writeSync(this.#fd, buffer, offset, length) }));
  }

  /** By a thread of the pool: it waits for the disk. */
  sync(): Promise<void> {
    return wait(this.#fd);
  }

  stat(): Promise<Stats> {
    return make(() => fstatSync(this.#fd));
  }

  utimes(accessed: number, modified: number): Promise<void> {
    return make(() => futimesSync(this.#fd, accessed, modified));
  }

  chmod(mode: number): Promise<void> {
    return make(() => fchmodSync(this.#fd, mode));
  }

  close(): Promise<void> {
    return make(() => closeSync(this.#fd));
  }
}

export const promptFiles = {
  open: (path: string, flags: number, mode?: number) =>
    make(() => new PromptFile(openSync(path, flags, mode))),
  rename: (from: string, to: string) => make(() => renameSync(from, to)),
  link: (existing: string, added: string) => make(() => linkSync(existing, added)),
  unlink: (path: string) => make(() => unlinkSync(path)),
  makeFolders: (path: string, mode: number) => systemFiles.makeFolders(path, mode),
  chmod: (path: string, mode: number) => make(() => chmodSync(path, mode)),
  lstat: (path: string) => make(() => lstatSync(path)),
  stat: (path: string) => make(() => statSync(path)),
  realpath: (path: string) => make(() => realpathSync.native(path)),
  /** Throws when it is not there, or may not be seen. */
  access: (path: string) => make(() => accessSync(path)),
  makeFolder: (path: string) => make(() => void mkdirSync(path, { recursive: true })),
  list: (path: string): Promise<Dirent[]> => make(() => readdirSync(path, { withFileTypes: true })),
} as const satisfies FileSystem & Record<string, unknown>;
