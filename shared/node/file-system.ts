/**
 * The few calls that the files of this project are written and read with, as an interface, so
 * that a test can let each of them fail, stop short or be the last one before a crash.
 */

import type { Stats } from 'node:fs';
import { chmod, link, lstat, mkdir, open, realpath, rename, unlink } from 'node:fs/promises';
import { type Code, IronError } from '../errors.ts';
import { fromErrno, isErrno } from './errno.ts';

/** An open file; `FileHandle` of node:fs is one. */
export interface OpenFile {
  read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number | null,
  ): Promise<{ readonly bytesRead: number }>;
  write(
    buffer: Uint8Array,
    offset: number,
    length: number,
  ): Promise<{ readonly bytesWritten: number }>;
  sync(): Promise<void>;
  stat(): Promise<Stats>;
  close(): Promise<void>;
}

export interface FileSystem {
  /** `flags` as open(2) has them, from `constants` of node:fs. */
  open(path: string, flags: number, mode?: number): Promise<OpenFile>;
  rename(from: string, to: string): Promise<void>;
  link(existing: string, added: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Also makes the folders above; no error when it is there. */
  makeFolders(path: string, mode: number): Promise<void>;
  chmod(path: string, mode: number): Promise<void>;
  lstat(path: string): Promise<Stats>;
  realpath(path: string): Promise<string>;
}

export const systemFiles: FileSystem = {
  open,
  rename,
  link,
  unlink,
  makeFolders: async (path, mode) => {
    try {
      await mkdir(path, { recursive: true, mode });
    } catch (error) {
      // On a read-only disk the recursive call says that the folder does not exist.
      if (isErrno(error) && error.code === 'ENOENT') await mkdir(path, mode);
      throw error;
    }
  },
  chmod,
  lstat,
  realpath,
};

/** Where a caller may put a file system of its own. */
export interface WithFiles {
  readonly files?: FileSystem;
}

/** Runs `act`; what the system refuses becomes a coded error about `path`. */
export async function onPath<T>(path: string, act: () => Promise<T>, ifMissing?: Code): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof IronError || !isErrno(error)) throw error;
    if (error.code === 'ENOENT' && ifMissing !== undefined) {
      throw new IronError(ifMissing, `${path} does not exist`, {
        hint: 'check the path',
        cause: error,
        context: { path },
      });
    }
    throw fromErrno(error, path);
  }
}
