/** Where a repository is taken from: a folder, or an address. Nothing that it says is believed. */

import { join } from 'node:path';
import { IronError, isIronError } from '../../shared/errors.ts';
import { toUrlPath } from '../../shared/layout.ts';
import { openRegular, readFileCapped } from '../../shared/node/files.ts';
import { pieces } from '../../shared/node/hash.ts';
import { openHttp } from '../jobs/check/http.ts';

/** A file that is being read. */
export interface OpenTarget {
  readonly pieces: AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

export interface Source {
  /** A metadata file by its name; undefined when there is none. `E_TOO_LARGE`, `E_NETWORK`, `E_IO`. */
  metadata(file: string, cap: number): Promise<Uint8Array | undefined>;
  /** A file below the folder of targets; undefined when there is none. */
  target(path: string): Promise<OpenTarget | undefined>;
  close(): Promise<void>;
}

export interface Places {
  /** A folder, or the address below which the other two lie. */
  readonly from: string;
  /** `.` for `from` itself. */
  readonly metadata: string;
  readonly targets: string;
}

/** `E_USAGE` for an address of another kind. */
export function openSource(places: Places, signal: AbortSignal): Source {
  return /^[a-z][a-z0-9+.-]*:\/\//.test(places.from)
    ? httpSource(places, signal)
    : folderSource(places);
}

function folderSource({ from, metadata, targets }: Places): Source {
  return {
    metadata: (file, cap) => orAbsent(() => readFileCapped(join(from, metadata, file), cap)),
    // Other tools put links there instead of copies. What counts are the bytes, by their digest.
    target: (path) =>
      orAbsent(async () => {
        const file = await openRegular(join(from, targets, path));
        return { pieces: pieces(file), close: () => file.close() };
      }),
    close: async () => {},
  };
}

async function orAbsent<T>(act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await act();
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) return undefined;
    // What others may hold as a folder is a file here: there is no such file.
    if (isIronError(error, 'E_IO') && error.context.errno === 'ENOTDIR') return undefined;
    throw error;
  }
}

function httpSource({ from, metadata, targets }: Places, signal: AbortSignal): Source {
  const { get, open, close } = openHttp(from, signal);
  const at = (folder: string, path: string): string =>
    folder === '.' ? path : `${folder.replace(/^\/+|\/+$/g, '')}/${path}`;
  return {
    // A role's file is called by its encoded name, whose % is encoded once more.
    async metadata(file, cap) {
      const { status, bytes } = await get(at(metadata, encodeURIComponent(file)), cap);
      return isThere(status, file) ? bytes : undefined;
    },
    async target(path) {
      const { status, pieces, drop } = await open(at(targets, toUrlPath(path)));
      if (isThere(status, path)) return { pieces, close: async () => drop() };
      drop();
      return undefined;
    },
    close,
  };
}

/** 403 is what object stores say of what is not there to those who may not list. */
function isThere(status: number, what: string): boolean {
  if (status === 200) return true;
  if (status === 404 || status === 403 || status === 410) return false;
  throw new IronError('E_NETWORK', `${what} was answered with ${status}`, {
    hint: 'nothing was changed; try again later',
  });
}
