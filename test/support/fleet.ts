/** A host with one store that asks several mirrors of one repository, named anew each time. */

import { existsSync, mkdtempSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { HttpFetcher } from '../../client/fetch/http.ts';
import {
  type Fetcher,
  FolderStore,
  type IronError,
  isIronError,
  Repository,
} from '../../client/index.ts';
import { toHex } from '../../shared/bytes.ts';
import { hashPrefixed } from '../../shared/layout.ts';
import { TRANSPORT_LIMITS } from '../../shared/limits.ts';
import { addArtifact, addVendor, EDU } from './artifact.ts';
import { TODAY } from './clock.ts';
import { type Served, serve } from './serve.ts';
import { Simulator } from './simulator.ts';

const SCRATCH = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

export const DRIVER = new Uint8Array(400_000).map((_, i) => (i * 31) & 0xff);

/** The repository after so many publications: the same keys, the same artifact, each time. */
export async function state(publications: number, now = TODAY): Promise<Simulator> {
  const sim = new Simulator(now);
  addVendor(sim, 'acme');
  await addArtifact(sim, EDU, DRIVER);
  for (let i = 0; i < publications; i++) sim.publish('targets', 'acme');
  return sim;
}

/** Where the tree has a target of acme's. */
export function placeOf(sim: Simulator, path: string): string {
  const sha256 = sim.role('acme').targets[path]?.hashes.sha256 ?? '';
  return `targets/${hashPrefixed(path, sha256)}`;
}

/** A simulator as a mirror of its own name, without a socket. */
export function mirror(name: string, sim: Simulator): Fetcher {
  return {
    origin: name,
    fetchFile: (...args) => sim.fetchFile(...args),
    openFile: (...args) => sim.openFile(...args),
  };
}

export class Fleet {
  readonly folder: string;
  readonly notes: string[] = [];
  readonly #t: Test;

  constructor(t: Test) {
    this.#t = t;
    // A folder for each fleet: a test's own would be emptied by the next one.
    this.folder = mkdtempSync(join(SCRATCH, 'ironport-fleet-'));
    t.teardown(() => rm(this.folder, { recursive: true, force: true }));
  }

  get store(): FolderStore {
    return new FolderStore(join(this.folder, 'store'));
  }

  async serve(sim: Simulator): Promise<Served> {
    const served = await serve(sim);
    this.#t.teardown(() => served.close());
    return served;
  }

  /** A mirror behind a socket, asked without waiting between tries, and patient for a second only. */
  http({ url }: Served): Fetcher {
    const pace = { ...TRANSPORT_LIMITS, idleSeconds: 1, slowWindowSeconds: 0.5 };
    const fetcher = new HttpFetcher({
      metadata: `${url}metadata/`,
      targets: `${url}targets/`,
      random: () => 0,
      sleep: async () => {},
      retries: TRANSPORT_LIMITS.retriesWithMirrors,
      pace,
    });
    this.#t.teardown(() => fetcher.close());
    return fetcher;
  }

  async open(...mirrors: readonly (Served | Fetcher)[]): Promise<Repository> {
    const [first, ...others] = mirrors.map((one) => ('url' in one ? this.http(one) : one));
    const repository = new Repository(
      { kind: 'http', url: 'http://drivers.example/', folder: undefined },
      this.store,
      first as Fetcher,
      { address: '', clock: () => TODAY, onMirrorLeft: (text) => this.notes.push(text) },
      others,
    );
    await repository.pin(new Simulator().roots.get(1) as Uint8Array);
    return repository;
  }

  /** Every stored file with its content, to see that nothing changed. */
  async stored(): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    const entries = await readdir(join(this.folder, 'store'), {
      recursive: true,
      withFileTypes: true,
    });
    for (const entry of entries.filter((one) => one.isFile())) {
      const path = join(entry.parentPath, entry.name);
      // A lock file names whoever had it last.
      if (!/lock/.test(path)) found[path] = toHex(await readFile(path));
    }
    return found;
  }
}

export async function refusal(act: Promise<unknown>): Promise<IronError> {
  const error = await act.then(
    () => new Error('it was accepted'),
    (thrown) => thrown,
  );
  if (!isIronError(error)) throw error;
  return error;
}
