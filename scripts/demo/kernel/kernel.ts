/**
 * Plays the kernel in a tree like sysfs: takes what is written into `bind`, `unbind`,
 * `drivers_probe` and `driver_override`, and moves links as drivers/base/bus.c does. What is written
 * about virtual functions is played by `PlayedVfs`.
 */

import {
  constants,
  existsSync,
  type FSWatcher,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  unlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { BRIDGE, DRIVERS, EDU_DEVICE, type PlayedDevice } from './devices.ts';
import { Faults, type Place, parseFault } from './faults.ts';
import { makePipes, NO_OVERRIDE, Tree } from './tree.ts';
import { type Around, PlayedVfs } from './vfs.ts';

export interface KernelOptions {
  readonly devices?: readonly PlayedDevice[];
  /** As `parseFault` reads them. */
  readonly faults?: readonly string[];
}

export interface Kernel {
  /** Replaces the faults; writes that hang get through when theirs is gone. */
  setFaults(faults: readonly string[]): void;
  /** Stops; a write that still hangs is let go first. */
  stop(): Promise<void>;
}

/** Makes the tree in `folder`, unless one is there, and plays the kernel in it until `stop`. */
export async function startKernel(folder: string, options: KernelOptions = {}): Promise<Kernel> {
  mkdirSync(folder, { recursive: true });
  // Before anything is made.
  for (const text of options.faults ?? []) parseFault(text);
  const tree = new Tree(realpathSync(folder));
  const devices = options.devices ?? [BRIDGE, EDU_DEVICE];
  tree.build(devices);
  const kernel = new Played(tree, devices);
  kernel.setFaults(options.faults ?? []);
  return kernel;
}

const ADDRESS = /[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]/g;

class Played implements Kernel {
  readonly #tree: Tree;
  readonly #devices = new Map<string, PlayedDevice>();
  readonly #readers = new Map<string, Socket>();
  /** Of overrides, by device. */
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #vfs: readonly PlayedVfs[];
  /** What probes heed; it differs from the attribute's text when that lies. */
  readonly #overrides = new Map<string, string | null>();
  /** The attribute's text as it was last seen. */
  readonly #texts = new Map<string, string>();
  #faults = new Faults([]);

  constructor(tree: Tree, devices: readonly PlayedDevice[]) {
    this.#tree = tree;
    for (const device of devices) this.#take(device);
    this.#vfs = devices
      .filter(({ sriov }) => sriov !== undefined)
      .map((pf) => new PlayedVfs(tree, pf, this.#around()));
    for (const vfs of this.#vfs) for (const device of vfs.present()) this.#take(device);
  }

  /** Listens to what is written for the device. */
  #take(device: PlayedDevice): void {
    const { bdf } = device;
    const text = readFileSync(this.#tree.override(bdf), 'utf8');
    this.#devices.set(bdf, device);
    this.#texts.set(bdf, text);
    this.#overrides.set(bdf, overrideOf(text));
    this.#watchers.set(
      bdf,
      watch(this.#tree.override(bdf), () => this.#overrideWritten(bdf)),
    );
  }

  #around(): Around {
    return {
      take: (place) => this.#faults.take(place, undefined),
      driverOf: (bdf) => this.#driverOf(bdf),
      added: (device, mayProbe) => {
        this.#take(device);
        if (mayProbe) this.#probe(device);
      },
      removed: (bdf) => {
        this.#watchers.get(bdf)?.close();
        for (const map of [this.#watchers, this.#devices, this.#texts, this.#overrides])
          map.delete(bdf);
      },
    };
  }

  setFaults(faults: readonly string[]): void {
    this.#faults = new Faults(faults.map(parseFault));
    this.#openPipes();
  }

  async stop(): Promise<void> {
    const hanging = this.#tree.pipes().filter((path) => !this.#readers.has(path));
    this.setFaults([]);
    // Whoever was waiting to write is let through before the readers go.
    if (hanging.length > 0) await setTimeout(100);
    for (const watcher of this.#watchers.values()) watcher.close();
    for (const vfs of this.#vfs) vfs.stop();
    for (const reader of this.#readers.values()) reader.destroy();
    this.#readers.clear();
  }

  /** Every pipe is open, but for those that a fault has closed. */
  #openPipes(): void {
    for (const path of this.#tree.pipes()) {
      const [place, driver] = this.#placeOf(path);
      const fails = this.#faults.isClosed('fail', place, driver);
      const hangs = this.#faults.isClosed('hang', place, driver);
      if (fails || hangs) {
        this.#readers.get(path)?.destroy();
        this.#readers.delete(path);
      }
      setRefusing(path, fails);
      if (!fails && !hangs && !this.#readers.has(path)) this.#listen(path);
    }
  }

  #placeOf(path: string): [place: Place, driver: string | undefined] {
    if (path === this.#tree.probe) return ['probe', undefined];
    return [basename(path) as 'bind' | 'unbind', basename(dirname(path))];
  }

  #listen(path: string): void {
    // Read and write: such an open never waits, and the pipe never ends.
    const reader = new Socket({
      fd: openSync(path, constants.O_RDWR | constants.O_NONBLOCK),
      readable: true,
      writable: false,
    });
    this.#readers.set(path, reader);
    reader.on('data', (data) => {
      for (const [bdf] of data.toString('latin1').matchAll(ADDRESS)) this.#command(path, bdf);
    });
    reader.unref();
  }

  #command(path: string, bdf: string): void {
    const device = this.#devices.get(bdf);
    const [place, driver] = this.#placeOf(path);
    const kind = this.#faults.take(place, driver);
    if (device !== undefined && kind !== 'lie') {
      // Whatever was written before must count, also when its notice comes later.
      this.#overrideWritten(bdf);
      if (place === 'unbind') this.#unbind(device, driver);
      if (kind === 'other') this.#bindTo(device, 'pci-stub');
      else if (place === 'probe') this.#probe(device);
      else if (place === 'bind') this.#bind(device, driver as string);
    }
    this.#openPipes();
  }

  #driverOf(bdf: string): string | undefined {
    return DRIVERS.find(({ name }) => existsSync(`${this.#tree.driverFolder(name)}/${bdf}`))?.name;
  }

  /** drivers/base/bus.c, unbind_store(): only from the driver that is bound. */
  #unbind({ bdf }: PlayedDevice, driver: string | undefined): void {
    if (driver !== undefined && this.#driverOf(bdf) === driver) this.#tree.unlink(bdf, driver);
  }

  /** drivers/base/dd.c, device_attach(): the first driver that matches. */
  #probe(device: PlayedDevice): void {
    const driver = DRIVERS.find(({ name }) => this.#matches(device, name));
    if (driver !== undefined) this.#bindTo(device, driver.name);
  }

  /** drivers/base/bus.c, bind_store(): this driver, when it matches. */
  #bind(device: PlayedDevice, driver: string): void {
    if (this.#matches(device, driver)) this.#bindTo(device, driver);
  }

  #bindTo(device: PlayedDevice, driver: string): void {
    if (this.#driverOf(device.bdf) === undefined) this.#tree.link(device.bdf, driver);
  }

  /** drivers/pci/pci-driver.c, pci_match_device(): an override goes before all ids. */
  #matches(device: PlayedDevice, driver: string): boolean {
    const override = this.#overrides.get(device.bdf) ?? null;
    if (override !== null) return override === driver;
    return DRIVERS.some(({ name, matches }) => name === driver && matches(device));
  }

  /** drivers/pci/pci-sysfs.c, driver_override_store() and _show(). */
  #overrideWritten(bdf: string): void {
    const path = this.#tree.override(bdf);
    // A tree that is being removed: there is nothing left to play.
    if (!existsSync(path)) return;
    const text = readFileSync(path, 'utf8');
    const before = this.#texts.get(bdf);
    // A device that went meanwhile.
    if (before === undefined) return;
    // A writer truncates first: an empty file is half of a write.
    if (text === '' || text === before) return;
    const kind = this.#faults.take('override', undefined);
    const wanted = overrideOf(text);
    const shown =
      kind === 'fail' ? before : kind === 'other' ? 'pci-stub\n' : `${wanted ?? '(null)'}\n`;
    if (kind !== 'lie') this.#overrides.set(bdf, overrideOf(shown));
    this.#texts.set(bdf, shown);
    if (shown !== text) writeFileSync(path, shown);
  }
}

function overrideOf(text: string): string | null {
  const name = text.split('\n')[0] ?? '';
  return name === '' || `${name}\n` === NO_OVERRIDE ? null : name;
}

/** A folder in the place of the pipe, or the pipe again. */
function setRefusing(path: string, refuses: boolean): void {
  const isFolder = existsSync(`${path}/.`);
  if (refuses === isFolder) return;
  if (refuses) {
    unlinkSync(path);
    mkdirSync(path);
  } else {
    rmdirSync(path);
    makePipes([path]);
  }
}
