/**
 * The read path: files of the tree, and nothing else, to whoever asks. It knows no key and no
 * database; any static server or CDN can stand in its place.
 */

import { createHash } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { dirname, extname, join } from 'node:path';
import { IronError, isIronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { insideFolder } from '../../shared/node/folders.ts';
import { promptFiles } from '../../shared/node/prompt-files.ts';
import { isCollected } from '../storage/is-collected.ts';
import { copyOut, isGone } from './copy-out.ts';
import { acceptedEncoding, Compressed, type Encoding, isCompressible } from './encoding.ts';
import { type HotFile, HotFiles, type Identity, isHot } from './hot.ts';
import { OpenedFile } from './opened.ts';
import {
  bodyOf,
  bytesOf,
  encodedForm,
  immutableForm,
  movingForm,
  type Representation,
  sendBody,
  sendHead,
} from './reply.ts';
import { decodeUrlPath, noSuchFile } from './url-path.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.json': 'application/json',
  '.jsonl': 'application/jsonl',
};

export class TreeReader {
  readonly #folder: string;
  readonly #hot: HotFiles;
  readonly #compressed = new Compressed();

  /** @param folder the tree: the folder in which `metadata/` and `targets/` lie */
  constructor(folder: string, hot: HotFiles = new HotFiles()) {
    this.#folder = folder;
    this.#hot = hot;
  }

  /**
   * Answers a GET or HEAD for `rawPath`, the path as it came over the wire. Throws `E_NOT_FOUND`
   * before anything was sent; what fails later ends the connection.
   */
  async answer(rawPath: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.answerNow(rawPath, request, response)) return;
    const path = decodeUrlPath(rawPath);
    const file = await openInTree(this.#folder, path);
    try {
      const found = file.stat();
      if (!found.isFile()) throw noSuchFile();
      if (path !== tree.timestamp && !isHot(path, found.size))
        return await this.#fromDisk(path, file, found, request, response);
      const read = await this.#read(path, file, found);
      const compressed = await this.#compress(path, read, request, async () => bytesOf(read.body));
      if (compressed === undefined) sendBody(request, response, read.plain, read.body);
      else sendBody(request, response, ...compressed);
    } finally {
      file.close();
    }
  }

  /** Answers at once, from memory; false when that cannot be, and then nothing was sent. */
  answerNow(rawPath: string, request: IncomingMessage, response: ServerResponse): boolean {
    if (request.method !== 'GET' && request.method !== 'HEAD') return false;
    const path = pathInTree(rawPath);
    const file = path === undefined ? undefined : this.#hot.get(path);
    if (path === undefined || file === undefined) return false;
    const encoding = file.isCompressible ? encodingFor(request) : undefined;
    const made = encoding && this.#compressed.peek(keyOf(path, file.identity), encoding);
    if (encoding === undefined || made === 'none')
      sendBody(request, response, file.plain, file.body);
    else if (made === undefined) return false;
    else sendBody(request, response, encodedForm(path, encoding, made.length), made);
    return true;
  }

  /** Reads a file into memory, and keeps it there when it is one of those. */
  async #read(path: string, file: OpenedFile, found: Stats): Promise<HotFile> {
    const isMoving = path === tree.timestamp;
    // What is longer is no timestamp, whatever it is: no reader takes more.
    const size = isMoving ? Math.min(found.size, METADATA_LIMITS.timestamp) : found.size;
    const bytes = await readWhole(file, size);
    const varies = !isMoving && isCompressible(path, size);
    const plain = isMoving
      ? movingForm(createHash('sha256').update(bytes).digest('hex'), size)
      : immutableForm(path, typeOf(path), size, varies);
    const place = join(this.#folder, path);
    const read = { place, identity: found, body: bodyOf(bytes), plain, isCompressible: varies };
    if (isHot(path, found.size)) this.#hot.keep(path, read);
    return read;
  }

  /** Artifacts, and metadata that is too large to be kept as it is. */
  async #fromDisk(
    path: string,
    file: OpenedFile,
    found: Stats,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const varies = isCompressible(path, found.size);
    const about = { identity: found, isCompressible: varies };
    const read = (): Promise<Uint8Array> => readWhole(file, found.size);
    const compressed = await this.#compress(path, about, request, read);
    if (compressed !== undefined) sendBody(request, response, ...compressed);
    else {
      const form = immutableForm(path, typeOf(path), found.size, varies);
      await sendFile(request, response, form, file);
    }
  }

  /** The compressed form that the request asks for; undefined when the plain one is to be sent. */
  async #compress(
    path: string,
    file: Pick<HotFile, 'identity' | 'isCompressible'>,
    request: IncomingMessage,
    read: () => Promise<Uint8Array>,
  ): Promise<[form: Representation, bytes: Uint8Array] | undefined> {
    const encoding = file.isCompressible ? encodingFor(request) : undefined;
    if (encoding === undefined) return undefined;
    const made = await this.#compressed.get(keyOf(path, file.identity), encoding, read);
    return made && [encodedForm(path, encoding, made.length), made];
  }
}

/** The path in the tree, where that can be told without an error; undefined otherwise. */
function pathInTree(rawPath: string): string | undefined {
  if (!rawPath.includes('%')) return rawPath.slice(1);
  try {
    return decodeUrlPath(rawPath);
  } catch {
    return undefined;
  }
}

/** Of a file in one state: what lies under the same name later is compressed for itself. */
function keyOf(path: string, { dev, ino, size, mtimeMs, ctimeMs }: Identity): string {
  return `${path} ${dev} ${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}

function typeOf(path: string): string {
  return TYPES[extname(path)] ?? 'application/octet-stream';
}

/**
 * Opens what is inside the tree, without following a link out of it. `E_NOT_FOUND` otherwise, and
 * `E_COLLECTED` for what was there once.
 */
async function openInTree(folder: string, path: string): Promise<OpenedFile> {
  try {
    return await openFile(folder, path);
  } catch (error) {
    if (!isIronError(error, 'E_NOT_FOUND') || !(await isCollected(folder, path))) throw error;
    // RFC 9110 15.5.11: it was here, it is gone for good, and that was said before.
    throw new IronError('E_COLLECTED', 'these bytes were collected', {
      why: 'no live snapshot lists them, and the window that the signed targets promised is over',
      hint: 'their name and digest stay in the metadata; ask the vendor for the bytes',
    });
  }
}

async function openFile(folder: string, path: string): Promise<OpenedFile> {
  try {
    await demandInside(folder, path);
    // O_NONBLOCK: opening a pipe that somebody put there would wait for ever.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    return await OpenedFile.open(join(folder, path), flags);
  } catch (error) {
    const absent = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'ENXIO'];
    if (isIronError(error, 'E_NAME') || (isErrno(error) && absent.includes(error.code))) {
      throw noSuchFile();
    }
    if (isIronError(error, 'E_IO') && absent.includes(String(error.context.errno))) {
      throw noSuchFile();
    }
    throw error;
  }
}

/**
 * Metadata lies in one folder, of which every look finds the names in memory: no thread need wait for
 * them. That its own name is no link, opening it sees to.
 */
async function demandInside(folder: string, path: string): Promise<void> {
  const above = dirname(path);
  if (above === tree.metadataFolder) await insideFolder(folder, above, { files: promptFiles });
  else await insideFolder(folder, path);
}

/** A range is one of the plain file: whoever asks for one gets that. */
function encodingFor({ headers }: IncomingMessage): Encoding | undefined {
  if (headers.range !== undefined) return undefined;
  // Node joins several fields of this name.
  return acceptedEncoding(headers['accept-encoding'] as string | undefined);
}

/** In memory of its own: a part of a shared piece would hold all of that. */
async function readWhole(file: OpenedFile, size: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(size);
  for (let at = 0; at < size; ) {
    const { bytesRead } = await file.read(bytes, at, size - at, at);
    if (bytesRead === 0) throw new IronError('E_IO', 'a file of the tree became shorter');
    at += bytesRead;
  }
  return bytes;
}

async function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  form: Representation,
  file: OpenedFile,
): Promise<void> {
  const range = sendHead(request, response, form);
  if (range === undefined) {
    response.end();
    return;
  }
  try {
    await copyOut(file, range.start, range.end, response);
    response.end();
  } catch (error) {
    // Half a file must not look like a whole one.
    response.destroy();
    // A reader that went away is nobody's fault.
    if (!isGone(error)) throw error;
  }
}
