/** A file system whose n-th call fails, or after whose n-th call the process is gone. */

import { type FileSystem, type OpenFile, systemFiles } from '../../shared/node/file-system.ts';

export class Crash extends Error {}

export interface Fault {
  /** Which call, counted from 1. */
  readonly at: number;
  /** The error it gives; without one, the process dies there: this call and all later ones throw. */
  readonly errno?: string;
}

export class FaultyFiles implements FileSystem {
  calls = 0;
  readonly #fault: Fault;
  /** Bytes that one write takes at most. */
  readonly #piece: number;

  constructor(fault: Fault, piece = Number.POSITIVE_INFINITY) {
    this.#fault = fault;
    this.#piece = piece;
  }

  async #call<T>(syscall: string, act: () => Promise<T>): Promise<T> {
    this.calls++;
    const { at, errno } = this.#fault;
    if (errno === undefined && this.calls >= at) throw new Crash(`died in ${syscall}`);
    if (this.calls === at) throw Object.assign(new Error(errno), { code: errno, syscall });
    return await act();
  }

  open(path: string, flags: number, mode?: number): Promise<OpenFile> {
    return this.#call('open', async () => {
      const file = await systemFiles.open(path, flags, mode);
      return {
        read: (buffer, offset, length, position) =>
          this.#call('read', () => file.read(buffer, offset, length, position)),
        write: (buffer, offset, length) =>
          this.#call('write', () => file.write(buffer, offset, Math.min(length, this.#piece))),
        sync: () => this.#call('fsync', () => file.sync()),
        stat: () => this.#call('fstat', () => file.stat()),
        // Really closed in any case: a test must not run out of descriptors.
        close: () => file.close().then(() => this.#call('close', async () => {})),
      };
    });
  }
  rename(from: string, to: string): Promise<void> {
    return this.#call('rename', () => systemFiles.rename(from, to));
  }
  link(existing: string, added: string): Promise<void> {
    return this.#call('link', () => systemFiles.link(existing, added));
  }
  unlink(path: string): Promise<void> {
    return this.#call('unlink', () => systemFiles.unlink(path));
  }
  makeFolders(path: string, mode: number): Promise<void> {
    return this.#call('mkdir', () => systemFiles.makeFolders(path, mode));
  }
  chmod(path: string, mode: number): Promise<void> {
    return this.#call('chmod', () => systemFiles.chmod(path, mode));
  }
  lstat(path: string): ReturnType<FileSystem['lstat']> {
    return this.#call('lstat', () => systemFiles.lstat(path));
  }
  realpath(path: string): Promise<string> {
    return this.#call('realpath', () => systemFiles.realpath(path));
  }
}
