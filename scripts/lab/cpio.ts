/** The archive that a kernel unpacks as its first file system: cpio, "newc" form. */

import { dirname } from 'node:path';
import { utf8 } from '../../shared/bytes.ts';

const FOLDER = 0o040000;
const FILE = 0o100000;
const LINK = 0o120000;

/** Collects files and writes them as one archive; folders on the way are made as needed. */
export class Cpio {
  readonly #parts: Uint8Array[] = [];
  readonly #seen = new Set<string>(['.', '']);
  #inode = 1;

  folder(path: string): void {
    if (this.#seen.has(path)) return;
    this.folder(dirname(path));
    this.#seen.add(path);
    this.#entry(path, FOLDER | 0o755, new Uint8Array());
  }

  file(path: string, bytes: Uint8Array, mode = 0o644): void {
    if (this.#seen.has(path)) return;
    this.folder(dirname(path));
    this.#seen.add(path);
    this.#entry(path, FILE | mode, bytes);
  }

  link(path: string, target: string): void {
    this.folder(dirname(path));
    this.#seen.add(path);
    this.#entry(path, LINK | 0o777, utf8(target));
  }

  end(): Uint8Array {
    this.#entry('TRAILER!!!', 0, new Uint8Array());
    return Buffer.concat(this.#parts);
  }

  // Documentation/driver-api/early-userspace/buffer-format.rst: magic, thirteen fields of eight
  // digits, the name with its NUL padded to four bytes, the data padded to four bytes.
  #entry(path: string, mode: number, data: Uint8Array): void {
    const name = utf8(`${path}\0`);
    const fields = [this.#inode++, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length, 0];
    const head = `070701${fields.map((one) => one.toString(16).padStart(8, '0')).join('')}`;
    this.#push(Buffer.concat([utf8(head), name]));
    this.#push(data);
  }

  #push(bytes: Uint8Array): void {
    this.#parts.push(bytes, new Uint8Array((4 - (bytes.length % 4)) % 4));
  }
}
