/** Plays what the kernel does when somebody writes into `sriov_numvfs` and `sriov_drivers_autoprobe`. */

import { existsSync, type FSWatcher, readFileSync, watch, writeFileSync } from 'node:fs';
import { type PlayedDevice, virtualFunctionsOf } from './devices.ts';
import type { Kind, Place } from './faults.ts';
import type { Tree } from './tree.ts';

/** What the rest of the kernel does for it. */
export interface Around {
  /** What is to go wrong with a write. */
  take(place: Place): Kind | undefined;
  driverOf(bdf: string): string | undefined;
  added(device: PlayedDevice, mayProbe: boolean): void;
  removed(bdf: string): void;
}

export class PlayedVfs {
  readonly #tree: Tree;
  readonly #pf: PlayedDevice;
  readonly #around: Around;
  readonly #watchers: FSWatcher[];
  /** What the attributes show; only the two methods below change them. */
  #autoprobe: string;
  #count: string;

  constructor(tree: Tree, pf: PlayedDevice, around: Around) {
    this.#tree = tree;
    this.#pf = pf;
    this.#around = around;
    this.#autoprobe = readFileSync(tree.autoprobe(pf.bdf), 'utf8');
    this.#count = readFileSync(tree.numVfs(pf.bdf), 'utf8');
    this.#watchers = [
      watch(tree.autoprobe(pf.bdf), () => this.#autoprobeWritten()),
      watch(tree.numVfs(pf.bdf), () => this.#countWritten()),
    ];
  }

  /** Those that an earlier run left. */
  present(): PlayedDevice[] {
    return virtualFunctionsOf(this.#pf, Number(this.#count));
  }

  stop(): void {
    for (const watcher of this.#watchers) watcher.close();
  }

  /** drivers/pci/pci-sysfs.c, sriov_drivers_autoprobe_store() */
  #autoprobeWritten(): void {
    const path = this.#tree.autoprobe(this.#pf.bdf);
    const text = textAt(path);
    if (text === '' || text === this.#autoprobe) return;
    const kind = this.#around.take('autoprobe');
    const isKept = kind === 'fail' || kind === 'lie' || !/^[01]\n?$/.test(text);
    if (!isKept) this.#autoprobe = `${text.trim()}\n`;
    writeFileSync(path, this.#autoprobe);
  }

  /** drivers/pci/pci-sysfs.c, sriov_numvfs_store() */
  #countWritten(): void {
    const path = this.#tree.numVfs(this.#pf.bdf);
    const text = textAt(path);
    if (text === '' || text === this.#count) return;
    // Whatever was written before must count, also when its notice comes later.
    this.#autoprobeWritten();
    const kind = this.#around.take('numvfs');
    const wanted = /^[0-9]{1,5}\n?$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY;
    const before = Number(this.#count);
    // ERANGE, EBUSY, ENOENT
    const isRefused =
      wanted > (this.#pf.sriov?.total ?? 0) ||
      (wanted !== 0 && before !== 0) ||
      this.#around.driverOf(this.#pf.bdf) === undefined;
    if (kind !== 'fail' && kind !== 'lie' && !isRefused && wanted !== before) {
      const count = kind === 'other' && wanted > 0 ? wanted - 1 : wanted;
      if (count === 0) this.#removeAll(before);
      else this.#add(count);
      this.#count = `${count}\n`;
    }
    writeFileSync(path, this.#count);
  }

  #add(count: number): void {
    const { bdf } = this.#pf;
    for (const [number, device] of virtualFunctionsOf(this.#pf, count).entries()) {
      this.#tree.addVirtual(bdf, device, number);
      this.#around.added(device, this.#autoprobe === '1\n');
    }
  }

  #removeAll(count: number): void {
    for (const [number, device] of virtualFunctionsOf(this.#pf, count).entries()) {
      const driver = this.#around.driverOf(device.bdf);
      if (driver !== undefined) this.#tree.unlink(device.bdf, driver);
      this.#around.removed(device.bdf);
      this.#tree.removeVirtual(this.#pf.bdf, device, number);
    }
  }
}

/** Empty also in a tree that is being removed: there is nothing left to play. */
function textAt(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
