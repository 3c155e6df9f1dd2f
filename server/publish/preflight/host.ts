/** A host with a memory, run over trees on the disk by the real client: for rehearsals. */

import { Updater } from '../../../client/updater.ts';
import type { Crypto } from '../../../shared/crypto/crypto.ts';
import { IronError } from '../../../shared/errors.ts';
import type { Clock } from '../../../shared/time.ts';
import type { TrustedMetadata } from '../../../shared/verify/trusted.ts';
import { fetcherOf, MemoryStore } from '../preflight.ts';

export class Host {
  readonly #crypto: Crypto;
  readonly #clock: Clock;
  readonly #store: MemoryStore;

  /** @param root the root that is pinned; nothing else is known */
  constructor(crypto: Crypto, clock: Clock, root: Uint8Array) {
    this.#crypto = crypto;
    this.#clock = clock;
    this.#store = new MemoryStore(root);
  }

  /**
   * Refreshes from the layers, the first of which that has a file decides, and finds each of the
   * paths. Throws what the client throws. What it verified it knows the next time.
   */
  async read(layers: readonly string[], paths: readonly string[]): Promise<TrustedMetadata> {
    const [crypto, clock] = [this.#crypto, this.#clock];
    const input = { crypto, clock, layers, published: undefined, roles: [] };
    const updater = new Updater({ crypto, clock, store: this.#store, fetcher: fetcherOf(input) });
    const trusted = await updater.refresh();
    for (const path of paths) {
      if ((await updater.find(path)) !== undefined) continue;
      throw new IronError('E_TARGET_UNKNOWN', `a client would not find ${path}`);
    }
    return trusted;
  }
}
