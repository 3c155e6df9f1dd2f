/** A store in memory: for preflight, for one-off verification, and for tests. */

import { IronError } from '../../shared/errors.ts';
import { type Floors, NO_FLOORS } from '../../shared/verify/floors.ts';
import type { Store } from './store.ts';

export class MemoryStore implements Store {
  readonly #pin: Uint8Array | undefined;
  readonly #roots = new Map<number, Uint8Array>();
  readonly #files = new Map<string, Uint8Array>();
  #floors: Floors;
  #list: Uint8Array | undefined;
  #note: Uint8Array | undefined;

  constructor(pin: Uint8Array | undefined, floors: Floors = NO_FLOORS) {
    this.#pin = pin;
    this.#floors = floors;
  }

  async pinnedRoot(): Promise<Uint8Array> {
    if (this.#pin === undefined) throw new IronError('E_NO_PIN', 'no root was given');
    return this.#pin;
  }

  async root(version: number): Promise<Uint8Array | undefined> {
    return this.#roots.get(version);
  }

  async read(role: string): Promise<Uint8Array | undefined> {
    return this.#files.get(role);
  }

  async floors(): Promise<Floors> {
    return this.#floors;
  }

  async readList(): Promise<Uint8Array | undefined> {
    return this.#list;
  }

  async writeList(bytes: Uint8Array): Promise<void> {
    this.#list = bytes;
  }

  async writeRoot(version: number, bytes: Uint8Array): Promise<void> {
    this.#roots.set(version, bytes);
  }

  async write(role: string, bytes: Uint8Array): Promise<void> {
    this.#files.set(role, bytes);
  }

  async remove(role: string): Promise<void> {
    this.#files.delete(role);
  }

  async targetsNote(): Promise<Uint8Array | undefined> {
    return this.#note;
  }

  async writeTargetsNote(note: Uint8Array): Promise<void> {
    this.#note = note;
  }

  async writeFloors(floors: Floors): Promise<void> {
    this.#floors = floors;
  }
}
