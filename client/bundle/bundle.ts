/** An open bundle: a fetcher over the files in it. Opened once, and read where its index says. */

import { IronError } from '../../shared/errors.ts';
import { parseMetadataPath } from '../../shared/layout.ts';
import { BUNDLE_LIMITS } from '../../shared/limits.ts';
import { type OpenFile, onPath } from '../../shared/node/file-system.ts';
import { openRegular } from '../../shared/node/files.ts';
import { cappedPieces, tooLong } from '../fetch/capped.ts';
import type { Fetcher, FetchOptions, OpenedFile } from '../fetch/fetcher.ts';
import { type BundleIndex, parseHeader, parseIndex } from './format.ts';

/** A file at its place. */
interface Placed {
  readonly offset: number;
  readonly length: number;
}

const PIECE = 1024 * 1024;

export class Bundle implements Fetcher {
  readonly origin: string;
  readonly isOffline = true;
  readonly index: BundleIndex;
  /** Bytes of the whole file. */
  readonly size: number;
  /** Tree paths of the targets that somebody asked for. */
  readonly asked = new Set<string>();
  readonly #file: OpenFile;
  readonly #places: ReadonlyMap<string, Placed>;

  private constructor(path: string, file: OpenFile, index: BundleIndex, start: number) {
    this.origin = path;
    this.#file = file;
    this.index = index;
    const places = new Map<string, Placed>();
    let offset = start;
    for (const { path: name, length } of index.files) {
      places.set(name, { offset, length });
      offset += length;
    }
    this.#places = places;
    this.size = offset;
  }

  /** Opens a bundle and reads its index. `E_SCHEMA` unless its length is what the index makes it. */
  static async open(path: string): Promise<Bundle> {
    const file = await openRegular(path);
    try {
      const { size } = await onPath(path, () => file.stat());
      const beginning = await readAt(path, file, 0, Math.min(size, BUNDLE_LIMITS.header));
      const { header, index: length } = parseHeader(beginning);
      if (header + length > size) throw cut(path, size, header + length);
      const index = parseIndex(await readAt(path, file, header, length));
      const bundle = new Bundle(path, file, index, header + length);
      if (bundle.size !== size) throw cut(path, size, bundle.size);
      return bundle;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async fetchFile(path: string, maxLength: number): Promise<Uint8Array | undefined> {
    const placed = this.#places.get(path);
    if (placed === undefined) {
      // The chain of roots ends where no next one is; everything else must be there.
      if (parseMetadataPath(path)?.role === 'root') return undefined;
      throw this.#missing(path);
    }
    const { offset, length } = placed;
    if (length > maxLength) {
      throw new IronError(
        'E_TOO_LARGE',
        `${path} has ${length} bytes where at most ${maxLength} are read`,
        { context: { path, length, limit: maxLength } },
      );
    }
    return readAt(this.origin, this.#file, offset, length);
  }

  async openFile(
    path: string,
    length: number,
    _resume?: unknown,
    options: FetchOptions = {},
  ): Promise<OpenedFile> {
    const placed = this.#places.get(path);
    if (placed === undefined) throw this.#missing(path);
    this.asked.add(path);
    if (placed.length > length) throw tooLong(path, length);
    const arriving = cappedPieces(
      this.#pieces(placed),
      length,
      () => tooLong(path, length),
      options,
    );
    return { start: 0, validator: undefined, pieces: arriving };
  }

  /** `E_NOT_FOUND` unless the file is there. */
  demand(path: string): void {
    if (!this.#places.has(path)) throw this.#missing(path);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async *#pieces({ offset, length }: Placed): AsyncGenerator<Uint8Array, void> {
    const buffer = new Uint8Array(Math.min(PIECE, length));
    for (let at = 0; at < length; ) {
      const wanted = Math.min(buffer.length, length - at);
      await fill(this.origin, this.#file, buffer.subarray(0, wanted), offset + at);
      yield buffer.subarray(0, wanted);
      at += wanted;
    }
  }

  #missing(path: string): IronError {
    return new IronError('E_NOT_FOUND', `the bundle has no ${path}`, {
      why: 'it is not complete for what it says that it is for',
      hint: 'nothing was changed; have the bundle made anew',
      context: { path },
    });
  }
}

async function readAt(
  path: string,
  file: OpenFile,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await fill(path, file, bytes, offset);
  return bytes;
}

/** Fills all of `buffer`; a file that became shorter meanwhile is a bundle that was cut short. */
async function fill(
  path: string,
  file: OpenFile,
  buffer: Uint8Array,
  offset: number,
): Promise<void> {
  for (let at = 0; at < buffer.length; ) {
    const { bytesRead } = await onPath(path, () =>
      file.read(buffer, at, buffer.length - at, offset + at),
    );
    if (bytesRead === 0) throw cut(path, offset + at, offset + buffer.length);
    at += bytesRead;
  }
}

function cut(path: string, actual: number, expected: number): IronError {
  const what = actual < expected ? 'is cut short' : 'goes on behind its end';
  return new IronError('E_SCHEMA', `the bundle ${path} ${what}`, {
    why: `it has ${actual} bytes where its index makes it ${expected}`,
    hint: 'nothing was changed; copy it again, and compare its SHA-256 with the one that was made',
    context: { path, actual, expected },
  });
}
