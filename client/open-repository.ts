/** From addresses to a repository that can be used: its store, and a fetcher for each of its mirrors. */

import { cwd } from 'node:process';
import { IronError } from '../shared/errors.ts';
import { METADATA_LIMITS, TRANSPORT_LIMITS } from '../shared/limits.ts';
import { platformCrypto } from '../shared/node/crypto.ts';
import { readFileCapped, readStreamCapped } from '../shared/node/files.ts';
import type { Fetcher } from './fetch/fetcher.ts';
import { type Address, openFetcher, parseAddress } from './fetch/open.ts';
import { RateLimit } from './fetch/rate.ts';
import { StoredFetcher } from './fetch/stored.ts';
import { Repository, type RepositoryOptions } from './repository.ts';
import { FolderStore } from './store/folder.ts';
import { storeFolder } from './store/locate.ts';

/** Opens a repository. Nothing is fetched, and nothing is written, before it is used. */
export async function openRepository(options: RepositoryOptions): Promise<Repository> {
  const env = options.env ?? process.env;
  const address = parseAddress(options.address, cwd());
  const folder = options.store ?? storeFolder(platformCrypto, env, address.url);
  const store = new FolderStore(folder, {
    onUnreadable: (path, error) => options.onNotice?.(`${path} is of no use: ${error.message}`),
  });
  if (options.offline === true) {
    return new Repository(address, store, new StoredFetcher(store), options);
  }
  const { limitRate } = options;
  const rate = typeof limitRate === 'number' ? new RateLimit(limitRate) : limitRate;
  const mirrors = (options.mirrors ?? []).map((text) => parseAddress(text, cwd()));
  const [fetcher, ...others] = await openMirrors([address, ...mirrors], env, rate);
  return new Repository(address, store, fetcher as Fetcher, options, others);
}

/** One fetcher for each address, in their order; an address that comes twice has one. */
async function openMirrors(
  addresses: readonly Address[],
  env: NonNullable<RepositoryOptions['env']>,
  rate: RateLimit | undefined,
): Promise<Fetcher[]> {
  const distinct = [...new Map(addresses.map((address) => [address.url, address])).values()];
  if (distinct.length > TRANSPORT_LIMITS.mirrors) {
    throw new IronError('E_USAGE', `more than ${TRANSPORT_LIMITS.mirrors} mirrors are named`, {
      hint: 'nothing was done; name those that are near',
    });
  }
  const retries = distinct.length > 1 ? TRANSPORT_LIMITS.retriesWithMirrors : undefined;
  const options = { env, random: Math.random, retries, rate };
  return Promise.all(distinct.map((address) => openFetcher(address, options)));
}

/** A root file for `pin`; `-` is standard input. */
export function loadRootFile(path: string): Promise<Uint8Array> {
  return path === '-'
    ? readStreamCapped(process.stdin, METADATA_LIMITS.root)
    : readFileCapped(path, METADATA_LIMITS.root);
}
