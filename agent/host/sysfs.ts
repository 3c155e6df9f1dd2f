/**
 * Reading sysfs under a root that can be named: `/sys`, or a copy of it. Paths are made of words of
 * this program, of PCI addresses that were parsed and of names that the kernel gave; where a link
 * leads is looked at, and nothing outside the root is read.
 */

import type { Dirent } from 'node:fs';
import { readdir, readlink, realpath, statfs } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import { fromUtf8 } from '../../shared/bytes.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { quoted } from '../../shared/tuf/names.ts';
import { parseBdf } from './bdf.ts';

/** statfs(2), include/uapi/linux/magic.h */
const SYSFS_MAGIC = 0x6265_6572;

export class Sysfs {
  /** Absolute, with every symbolic link resolved. */
  readonly root: string;
  /** What was read, by what was asked; absent where everything is asked anew. */
  readonly #seen: Map<string, Promise<unknown>> | undefined;

  private constructor(root: string, seen?: Map<string, Promise<unknown>>) {
    this.root = root;
    this.#seen = seen;
  }

  /** `E_NOT_FOUND` when there is no such folder. */
  static async open(root: string): Promise<Sysfs> {
    return new Sysfs(await onPath(root, () => realpath(root), 'E_NOT_FOUND'));
  }

  /**
   * The same tree, of which each place is looked at once: one picture of it, to decide from and to show.
   * It grows old at once, so that nothing is changed by what it says.
   */
  picture(): Sysfs {
    return new Sysfs(this.root, new Map());
  }

  #once<T>(what: string, read: () => Promise<T>): Promise<T> {
    if (this.#seen === undefined) return read();
    const found = (this.#seen.get(what) as Promise<T> | undefined) ?? read();
    this.#seen.set(what, found);
    return found;
  }

  /** Whether this is the kernel's own, so that what it shows can be opened through VFIO. */
  async isKernels(): Promise<boolean> {
    return this.root === '/sys' && (await statfs(this.root)).type === SYSFS_MAGIC;
  }

  /** The absolute place of a relative path. `E_NAME` when its words lead out of the root. */
  place(path: string): string {
    if (path.split('/').some((part) => part === '' || part === '.' || part === '..')) {
      throw new IronError('E_NAME', `the path ${quoted(path)} leaves the tree of devices`);
    }
    return join(this.root, path);
  }

  /** The text of an attribute as the kernel gives it, or undefined when there is none. */
  async text(path: string): Promise<string | undefined> {
    const bytes = await this.bytes(path, AGENT_LIMITS.attribute);
    return bytes === undefined ? undefined : fromUtf8(bytes);
  }

  /** An attribute's bytes. Pipes and devices are `E_IO`: reading one could take for ever. */
  bytes(path: string, cap: number): Promise<Uint8Array | undefined> {
    return this.#once(`bytes ${cap} ${path}`, () =>
      unlessMissing(async () => readFileCapped(this.place(path), cap, { nofollow: true })),
    );
  }

  /** The last name of what a link leads to (`driver` leads to the driver's folder). */
  linkName(path: string): Promise<string | undefined> {
    return this.#once(`link ${path}`, () =>
      unlessMissing(async () => {
        const place = this.place(path);
        return basename(await onPath(place, () => readlink(place), 'E_NOT_FOUND'));
      }),
    );
  }

  /** What is in a folder, in no order. `E_IO` when there is no such folder. */
  async entries(path: string): Promise<readonly Dirent[]> {
    return await onPath(this.place(path), () => this.#readFolder(path));
  }

  /** The names in a folder, sorted; none when there is no such folder. */
  async names(path: string): Promise<string[]> {
    const place = this.place(path);
    try {
      return (await this.#readFolder(path)).map(({ name }) => name).sort();
    } catch (error) {
      if (isErrno(error) && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return [];
      return await onPath(place, () => Promise.reject(error));
    }
  }

  #readFolder(path: string): Promise<readonly Dirent[]> {
    return this.#once(`folder ${path}`, () => readdir(this.place(path), { withFileTypes: true }));
  }

  /**
   * The folder of a device, relative to the root: `devices/pci0000:00/0000:00:05.0`. `E_NOT_FOUND`
   * when there is no such device, `E_NAME` when its link leads somewhere else.
   */
  deviceFolder(bdf: string): Promise<string> {
    return this.#once(`device ${bdf}`, () => this.#findDevice(bdf));
  }

  async #findDevice(bdf: string): Promise<string> {
    const link = this.place(`bus/pci/devices/${parseBdf(bdf)}`);
    const missing = new IronError('E_NOT_FOUND', `there is no PCI device ${bdf}`, {
      hint: 'nothing was changed; `ironport-agent list` shows the devices of this host',
      context: { device: bdf },
    });
    const found = await onPath(link, () => realpath(link), 'E_NOT_FOUND').catch((error) => {
      throw isIronError(error, 'E_NOT_FOUND') ? missing : error;
    });
    const way = relative(this.root, found);
    if (way.startsWith('..') || basename(way) !== bdf) {
      throw new IronError('E_NAME', `the link of ${bdf} leads out of the tree of devices`, {
        context: { device: bdf },
      });
    }
    return way.split(sep).join('/');
  }
}

async function unlessMissing<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) return undefined;
    throw error;
  }
}
