/** Hosts that share no network: one makes bundles, others read them. */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import { Bundle } from '../../../client/bundle/bundle.ts';
import { type CreatedBundle, createBundle } from '../../../client/bundle/create.ts';
import { importBundle } from '../../../client/bundle/import.ts';
import { type VerifiedBundle, verifyBundle } from '../../../client/bundle/verify.ts';
import type { Fetcher } from '../../../client/fetch/fetcher.ts';
import { parseAddress } from '../../../client/fetch/open.ts';
import { StoredFetcher } from '../../../client/fetch/stored.ts';
import { Repository, type RepositoryOptions } from '../../../client/repository.ts';
import { FolderStore } from '../../../client/store/folder.ts';
import { OverlayStore } from '../../../client/store/overlay.ts';
import { fromUtf8, utf8 } from '../../../shared/bytes.ts';
import { addArtifact, addVendor, EDU } from '../../support/artifact.ts';
import { TestClock } from '../../support/clock.ts';
import { addRevocations } from '../../support/revocations.ts';
import { Simulator } from '../../support/simulator.ts';

export const DRIVER = utf8('export const driver = 1;\n');

/** A repository with one artifact. */
export async function repositoryWithArtifact(name = 'simulator'): Promise<Simulator> {
  const sim = new Simulator(undefined, name);
  addVendor(sim, 'acme');
  await addArtifact(sim, EDU, DRIVER);
  await addRevocations(sim);
  // Renewed every few days, as by a service; tests of what is stale set it themselves.
  sim.role('revocations').expires = sim.expiry(60);
  sim.publish('targets');
  return sim;
}

/** A machine with a store of its own, a clock, and perhaps a network. */
export class Machine {
  readonly store: FolderStore;
  readonly clock = new TestClock();
  readonly folder: string;

  constructor(folder: string, name = 'store') {
    this.folder = folder;
    this.store = new FolderStore(join(folder, name));
  }

  repository(fetcher?: Fetcher, options: Partial<RepositoryOptions> = {}): Repository {
    const address = 'http://drivers.example/';
    return new Repository(
      parseAddress(address, '/'),
      this.store,
      fetcher ?? new StoredFetcher(this.store),
      { address, clock: this.clock.read, ...options },
    );
  }

  /** As a new process has it: nothing that an earlier one found out is in memory. */
  fresh(fetcher?: Fetcher, options: Partial<RepositoryOptions> = {}): Repository {
    const { onNotice } = options;
    const store = new FolderStore(this.store.folder, {
      onUnreadable: (path, error) => onNotice?.(`${path} is of no use: ${error.message}`),
    });
    const address = 'http://drivers.example/';
    return new Repository(parseAddress(address, '/'), store, fetcher ?? new StoredFetcher(store), {
      ...{ address, clock: this.clock.read },
      ...options,
    });
  }

  async pin(sim: Simulator): Promise<void> {
    await this.repository().pin(sim.roots.get(1) as Uint8Array);
  }

  create(sim: Simulator, out: string, names: readonly string[] = [EDU]): Promise<CreatedBundle> {
    return createBundle({ repository: this.repository(sim), names, out });
  }

  async verify(file: string, maxStale = 0): Promise<VerifiedBundle> {
    const { crypto } = this.repository();
    const store = new OverlayStore(this.store);
    return withBundle(file, (bundle) =>
      verifyBundle(bundle, { crypto, clock: this.clock.read, store, maxStale }),
    );
  }

  async import(file: string, options: Partial<RepositoryOptions> = {}): Promise<VerifiedBundle> {
    return withBundle(file, (bundle) => importBundle(bundle, this.repository(undefined, options)));
  }
}

async function withBundle<T>(file: string, act: (bundle: Bundle) => Promise<T>): Promise<T> {
  const bundle = await Bundle.open(file);
  try {
    return await act(bundle);
  } finally {
    await bundle.close();
  }
}

export interface Scene {
  readonly sim: Simulator;
  /** Has the network, and made `bundle`. */
  readonly online: Machine;
  /** Has the pin and nothing else. */
  readonly offline: Machine;
  readonly bundle: string;
  place(name: string): string;
}

export async function scene(t: Test): Promise<Scene> {
  const folder = t.testdir();
  const sim = await repositoryWithArtifact();
  const [online, offline] = [new Machine(folder, 'online'), new Machine(folder, 'offline')];
  await online.pin(sim);
  await offline.pin(sim);
  const bundle = join(folder, 'edu.bundle');
  await online.create(sim, bundle);
  return { sim, online, offline, bundle, place: (name) => join(folder, name) };
}

/** A bundle taken apart, to be put together differently. */
export interface Parts {
  // biome-ignore lint/suspicious/noExplicitAny: a test writes into it whatever it wants
  index: any;
  files: Map<string, Uint8Array>;
}

export async function takeApart(file: string): Promise<Parts> {
  const bytes = new Uint8Array(await readFile(file));
  const end = bytes.indexOf(0x0a) + 1;
  const length = Number(fromUtf8(bytes.subarray(0, end)).split(' ')[1]);
  const index = JSON.parse(fromUtf8(bytes.subarray(end, end + length)));
  const files = new Map<string, Uint8Array>();
  let at = end + length;
  for (const entry of index.files) {
    files.set(entry.path, bytes.slice(at, at + entry.length));
    at += entry.length;
  }
  return { index, files };
}

/** Writes parts in the order of their index, with the lengths that the files have. */
export async function putTogether(file: string, { index, files }: Parts): Promise<void> {
  const text = `${JSON.stringify(index)}\n`;
  const bodies = index.files.map(({ path }: { path: string }) => files.get(path) ?? utf8(''));
  await writeFile(
    file,
    Buffer.concat([utf8(`ironport-bundle/v1 ${utf8(text).length}\n`), utf8(text), ...bodies]),
  );
}
