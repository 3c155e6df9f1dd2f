/**
 * What one command looks at, each thing once, however many devices it asks about: the host, who uses
 * its disks, what is in quarantine, and every attribute of every device. It is a picture, to decide from
 * and to show. Nothing is done to a device by it: whoever changes one looks anew before each step
 * (`Hands`), and takes another survey for each device that is to be bound.
 */

import type { DeviceName, Present } from '../shared/manifest/quarantine.ts';
import type { Agent } from './agent.ts';
import { readBootId, readHostFacts } from './host/host-facts.ts';
import { readInUse } from './host/in-use.ts';
import { type DeviceSnapshot, readDevice } from './host/inventory.ts';
import type { Sysfs } from './host/sysfs.ts';
import type { Incident } from './quarantine/incident.ts';
import { incidentsOf, readPresent } from './quarantine/present.ts';
import { loadIncidents } from './quarantine/store.ts';
import { type Parent, readParent } from './vfs/parent.ts';

export class Survey {
  readonly agent: Agent;
  readonly sysfs: Sysfs;
  /** What is true of the whole host. `E_IO`. */
  readonly host = once(() => readHostFacts(this.sysfs, this.agent.proc));
  /** Which start of the kernel this is. `E_IO`. */
  readonly boot = once(() => readBootId(this.agent.proc));
  readonly #inUse = once(() => readInUse(this.sysfs, this.agent.proc));
  readonly #incidents = once(() => loadIncidents(this.agent));
  readonly #present = once(() => readPresent(this.sysfs));
  /** By the address of the physical function. */
  readonly #parents = new Map<string, Promise<Parent | undefined>>();

  constructor(agent: Agent, sysfs: Sysfs) {
    this.agent = agent;
    this.sysfs = sysfs.picture();
  }

  /** Throws as `readDevice` and `readInUse` do. */
  async device(bdf: string): Promise<DeviceSnapshot> {
    return await readDevice(this.sysfs, bdf, await this.#inUse());
  }

  /** The incident that the device is in; the first, when there are several. `E_STORE`. */
  async incidentOf(path: string, name: DeviceName | undefined): Promise<Incident | undefined> {
    const all = async (): Promise<readonly Present[]> => await this.#present();
    const [first] = await incidentsOf(all, await this.#incidents(), { path, name });
    return first;
  }

  /** The parent of a virtual function; undefined for every other device. */
  async parentOf(device: DeviceSnapshot): Promise<Parent | undefined> {
    const { physicalFunction: path } = device;
    if (path === null) return undefined;
    const found = this.#parents.get(path) ?? readParent(this.agent, this.sysfs, device);
    this.#parents.set(path, found);
    return await found;
  }
}

/** Made when it is first asked for. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
