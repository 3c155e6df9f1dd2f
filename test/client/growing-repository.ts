/** A repository that publishes while it is read, and like a real one keeps every file it had. */

import { utf8 } from '../../shared/bytes.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { encodeRoleName } from '../../shared/tuf/names.ts';
import type { Files } from '../support/serve.ts';
import { digest, Simulator } from '../support/simulator.ts';

export class GrowingRepository implements Files {
  readonly sim = new Simulator(systemClock());
  /** SHA-256 of all that was ever served. */
  readonly served = new Set<string>();
  /** Versions of the root that replaced the keys of timestamp or snapshot. */
  readonly rotations = new Set<number>();
  readonly #rotates: boolean;
  readonly #files = new Map<string, Uint8Array>();
  #publications = 0;

  constructor(rotates: boolean) {
    this.#rotates = rotates;
    this.sim.delegate('targets', 'A');
    this.sim.addTarget('A', 'x', utf8('x'));
    this.#keep();
  }

  serve(path: string): Uint8Array | undefined {
    // Between any two reads of the timestamp, and of nothing else: who has read it finds the rest.
    if (path === 'metadata/timestamp.json') this.#publish();
    if (this.#rotates && /\.root\.json$/.test(path) && Math.random() < 0.2) this.#rotate(path);
    const bytes = this.#files.get(path);
    if (bytes !== undefined) this.served.add(digest('sha256', bytes));
    return bytes;
  }

  #publish(): void {
    this.#publications++;
    if (this.#publications % 5 === 0) this.sim.nextRoot(() => this.sim.rotateKeys('root'));
    this.sim.publish('targets', 'A');
    this.#keep();
  }

  /** Only when somebody asks for the root that comes of it: the timestamp follows the root. */
  #rotate(path: string): void {
    if (path !== `metadata/${this.sim.root.version + 1}.root.json`) return;
    const [role = ''] = Math.random() < 0.5 ? ['timestamp'] : ['snapshot'];
    this.sim.nextRoot(() => this.sim.rotateKeys(role));
    this.rotations.add(this.sim.root.version);
    this.sim.publish();
    this.#keep();
  }

  #keep(): void {
    const { sim } = this;
    for (const [version, bytes] of sim.roots)
      this.#files.set(`metadata/${version}.root.json`, bytes);
    this.#files.set('metadata/timestamp.json', sim.fileOf('timestamp'));
    const versions = { snapshot: sim.snapshot, targets: sim.targets, A: sim.role('A') };
    for (const [role, { version }] of Object.entries(versions)) {
      this.#files.set(`metadata/${version}.${encodeRoleName(role)}.json`, sim.fileOf(role));
    }
  }
}
