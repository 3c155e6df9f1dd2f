/** A store over another one, which it reads and never changes: for trying something out. */

import type { Floors } from '../../shared/verify/floors.ts';
import type { Store } from './store.ts';

export class OverlayStore implements Store {
  readonly #below: Store;
  readonly #roots = new Map<number, Uint8Array>();
  /** Undefined is a file that was removed. */
  readonly #files = new Map<string, Uint8Array | undefined>();
  #floors: Floors | undefined;

  constructor(below: Store) {
    this.#below = below;
  }

  pinnedRoot(): Promise<Uint8Array> {
    return this.#below.pinnedRoot();
  }

  async root(version: number): Promise<Uint8Array | undefined> {
    return this.#roots.get(version) ?? (await this.#below.root(version));
  }

  async read(role: string): Promise<Uint8Array | undefined> {
    return this.#files.has(role) ? this.#files.get(role) : await this.#below.read(role);
  }

  async floors(): Promise<Floors> {
    return this.#floors ?? (await this.#below.floors());
  }

  async writeRoot(version: number, bytes: Uint8Array): Promise<void> {
    this.#roots.set(version, bytes);
  }

  async write(role: string, bytes: Uint8Array): Promise<void> {
    this.#files.set(role, bytes);
  }

  async remove(role: string): Promise<void> {
    this.#files.set(role, undefined);
  }

  async writeFloors(floors: Floors): Promise<void> {
    this.#floors = floors;
  }
}
