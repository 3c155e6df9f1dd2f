/** From an address, as people write it, to the fetcher for it. */

import { homedir } from 'node:os';
import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IronError } from '../../shared/errors.ts';
import type { Fetcher } from './fetcher.ts';
import type { Env } from './open-connections.ts';
import type { RateLimit } from './rate.ts';

/** Forms of an address, one spelling each: what stores are named after. */
export interface Address {
  readonly kind: 'http' | 'folder';
  /** `http://127.0.0.1:8080/` or `file:///srv/repo/`. */
  readonly url: string;
  /** The folder, for `folder`. */
  readonly folder: string | undefined;
}

/**
 * Reads `HOST:PORT`, `http://…`, `https://…`, `file:///…` and paths of folders (`/srv/repo`,
 * `./repo`, `~/repo`). `E_USAGE` on anything else.
 */
export function parseAddress(text: string, workingFolder: string): Address {
  if (/^https?:\/\//i.test(text)) return http(text);
  if (/^file:/i.test(text)) return folder(pathOf(text));
  if (text.startsWith('~/')) return folder(resolve(homedir(), text.slice(2)));
  if (isAbsolute(text) || /^\.{1,2}(\/|$)/.test(text)) return folder(resolve(workingFolder, text));
  // A bare HOST:PORT is plain HTTP, as the tools that came before this one have it.
  if (/^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):\d{1,5}(\/|$)/.test(text))
    return http(`http://${text}`);
  throw unknown(text);
}

function http(text: string): Address {
  const url = URL.parse(text.endsWith('/') ? text : `${text}/`);
  if (url === null || url.search !== '' || url.hash !== '') throw unknown(text);
  if (url.username !== '' || url.password !== '') {
    throw new IronError('E_USAGE', 'an address cannot carry a password', {
      hint: 'addresses end up in messages and in the names of folders',
    });
  }
  return { kind: 'http', url: url.href, folder: undefined };
}

function folder(path: string): Address {
  const url = new URL('file:///');
  url.pathname = path.endsWith('/') ? path : `${path}/`;
  return { kind: 'folder', url: url.href, folder: path };
}

function pathOf(text: string): string {
  try {
    return fileURLToPath(text);
  } catch (cause) {
    throw unknown(text, cause);
  }
}

function unknown(text: string, cause?: unknown): IronError {
  return new IronError('E_USAGE', `not the address of a repository: ${JSON.stringify(text)}`, {
    hint: 'write HOST:PORT, http://…, https://…, file:///… or the path of a folder',
    cause,
  });
}

export interface OpenOptions {
  readonly env: Env;
  readonly random: () => number;
  /** How often a request that failed is sent again; the usual number when absent. */
  readonly retries?: number | undefined;
  /** For servers; what a folder has is here already. */
  readonly rate?: RateLimit | undefined;
}

/** The fetcher for an address. The HTTP client is loaded only for an address that needs it. */
export async function openFetcher(address: Address, options: OpenOptions): Promise<Fetcher> {
  if (address.folder !== undefined) {
    const { FileFetcher } = await import('./file.ts');
    return new FileFetcher(address.folder);
  }
  const { HttpFetcher } = await import('./http.ts');
  return new HttpFetcher({
    metadata: `${address.url}metadata/`,
    targets: `${address.url}targets/`,
    ...options,
  });
}
