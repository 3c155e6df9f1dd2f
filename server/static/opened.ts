/**
 * A file of the tree, open for reading. Only opening and reading are given to threads: they may wait
 * for the disk. What the kernel knows of a file that is open, and closing it, takes a microsecond,
 * and the hop to a thread and back twenty times that.
 */

import { closeSync, fstatSync, open, read, type Stats } from 'node:fs';
import { promisify } from 'node:util';

const openAt = promisify(open);
const readAt = promisify(read);

export class OpenedFile {
  readonly #fd: number;
  #isOpen = true;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** `flags` as open(2) has them. */
  static async open(path: string, flags: number): Promise<OpenedFile> {
    return new OpenedFile(await openAt(path, flags));
  }

  stat(): Stats {
    return fstatSync(this.#fd);
  }

  /** Bytes from `position` on; how many there were. */
  async read(buffer: Uint8Array, offset: number, length: number, position: number) {
    const { bytesRead } = await readAt(this.#fd, buffer, offset, length, position);
    return { bytesRead };
  }

  /** Once no read is under way: the number may be another file's at once. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#fd);
  }
}
