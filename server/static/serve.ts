/**
 * The read path: files of the tree, and nothing else, to whoever asks. It knows no key and no
 * database; any static server or CDN can stand in its place.
 */

import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join } from 'node:path';
import { IronError, isIronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { insideFolder } from '../../shared/node/folders.ts';
import { acceptedEncoding, type Compressed, type Encoding, isCompressible } from './encoding.ts';
import { parseRange } from './range.ts';
import { decodeUrlPath, noSuchFile } from './url-path.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.json': 'application/json',
  '.jsonl': 'application/jsonl',
};

/** Bytes that are read at once. */
const PIECE = 256 * 1024;

/** A year: files that never change may be kept for ever (RFC 8246, `immutable`). */
const FOREVER = 'public, max-age=31536000, immutable';

/**
 * Answers a GET or HEAD for `rawPath`, the path as it came over the wire, from the tree in
 * `folder`. Throws `E_NOT_FOUND` before anything was sent; what fails later ends the connection.
 */
export async function serveFile(
  folder: string,
  rawPath: string,
  request: IncomingMessage,
  response: ServerResponse,
  compressed?: Compressed,
): Promise<void> {
  const path = decodeUrlPath(rawPath);
  const file = await openInTree(folder, path);
  try {
    const found = await file.stat();
    if (!found.isFile()) throw noSuchFile();
    if (path === tree.timestamp) return await sendMoving(file, request, response);
    // A file in the tree is called by its version or its digest: the name is the strong validator.
    const etag = `"${encodeURIComponent(path.slice(path.lastIndexOf('/') + 1))}"`;
    const isSmaller = compressed !== undefined && isCompressible(path, found.size);
    // Caches must ask again for who asks otherwise, also where the plain file is sent.
    if (isSmaller) response.setHeader('vary', 'accept-encoding');
    const encoding = isSmaller ? encodingFor(request) : undefined;
    if (encoding !== undefined) {
      const bytes = await compressed?.get(path, encoding, () => readWhole(file, found.size));
      if (bytes !== undefined) return await sendEncoded(request, response, path, encoding, bytes);
    }
    await send(request, response, {
      etag,
      size: found.size,
      cache: FOREVER,
      type: TYPES[extname(path)] ?? 'application/octet-stream',
      write: (start, end) => copyOut(file, start, end, response),
    });
  } finally {
    await file.close().catch(() => {});
  }
}

/** Opens what is inside the tree, without following a link out of it. `E_NOT_FOUND` otherwise. */
async function openInTree(folder: string, path: string): Promise<FileHandle> {
  try {
    await insideFolder(folder, path);
    // O_NONBLOCK: opening a pipe that somebody put there would wait for ever.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    return await open(join(folder, path), flags);
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

/** A range is one of the plain file: whoever asks for one gets that. */
function encodingFor({ headers }: IncomingMessage): Encoding | undefined {
  return headers.range === undefined
    ? acceptedEncoding(field(headers['accept-encoding']))
    : undefined;
}

function field(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.join(',');
}

async function readWhole(file: FileHandle, size: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(size);
  for (let at = 0; at < size; ) {
    const { bytesRead } = await file.read(bytes, at, size - at, at);
    if (bytesRead === 0) throw new IronError('E_IO', 'a file of the tree became shorter');
    at += bytesRead;
  }
  return bytes;
}

/** Another representation, so another validator (RFC 9110 8.8.3.3). */
async function sendEncoded(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  encoding: Encoding,
  bytes: Uint8Array,
): Promise<void> {
  response.setHeader('content-encoding', encoding);
  await send(request, response, {
    etag: `"${encodeURIComponent(path.slice(path.lastIndexOf('/') + 1))}+${encoding}"`,
    size: bytes.length,
    cache: FOREVER,
    type: 'application/json',
    write: async (start, end) => {
      await written(response, bytes.subarray(start, end + 1));
    },
  });
}

/** The one file that moves: small, so its validator is its digest. */
async function sendMoving(
  file: FileHandle,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const buffer = Buffer.alloc(METADATA_LIMITS.timestamp);
  const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
  const bytes = buffer.subarray(0, bytesRead);
  await send(request, response, {
    etag: `"${createHash('sha256').update(bytes).digest('hex')}"`,
    size: bytes.length,
    cache: 'no-cache',
    type: 'application/json',
    write: async (start, end) => {
      await written(response, bytes.subarray(start, end + 1));
    },
  });
}

interface Sending {
  /** Strong (RFC 9110 8.8.3). */
  readonly etag: string;
  readonly size: number;
  readonly cache: string;
  readonly type: string;
  /** Sends the bytes from `start` to `end`, both included; asked for once, and not for none. */
  write(start: number, end: number): Promise<void>;
}

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  { etag, size, cache, type, write }: Sending,
): Promise<void> {
  response.setHeader('cache-control', cache);
  response.setHeader('etag', etag);
  response.setHeader('accept-ranges', 'bytes');
  // Auditors verify in their browsers, on pages of other origins. All of it is public.
  response.setHeader('access-control-allow-origin', '*');
  response.setHeader('access-control-expose-headers', 'etag, content-range, accept-ranges');
  // Bytes of a vendor are never a page of this origin.
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('content-security-policy', "default-src 'none'; sandbox");
  if (matches(request.headers['if-none-match'], etag)) {
    response.writeHead(304).end();
    return;
  }
  const ifRange = request.headers['if-range'];
  // RFC 9110 13.1.5: a range of another state of the file would be put together with this one's.
  const asked = ifRange === undefined || ifRange === etag ? request.headers.range : undefined;
  // RFC 9110 14.2: ranges are for GET.
  const range = request.method === 'GET' ? parseRange(asked, size) : undefined;
  if (range === 'unsatisfiable') {
    response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
    return;
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  const length = end - start + 1;
  const headers = { 'content-type': type, 'content-length': length };
  if (range === undefined) response.writeHead(200, headers);
  else response.writeHead(206, { ...headers, 'content-range': `bytes ${start}-${end}/${size}` });
  if (request.method === 'HEAD' || length === 0) {
    response.end();
    return;
  }
  try {
    await write(start, end);
    response.end();
  } catch (error) {
    // Half a file must not look like a whole one.
    response.destroy();
    // A reader that went away is nobody's fault.
    if (!isGone(error)) throw error;
  }
}

/**
 * Copies a part of a file into the response through two buffers that are used in turn, so that
 * reading goes on while the one before is sent, and a gibibyte makes no more garbage than a page.
 */
async function copyOut(
  file: FileHandle,
  start: number,
  end: number,
  response: ServerResponse,
): Promise<void> {
  const size = Math.min(PIECE, end - start + 1);
  let [filling, sending] = [Buffer.allocUnsafe(size), Buffer.allocUnsafe(size)];
  let sent: Promise<void> = Promise.resolve();
  for (let at = start; at <= end; ) {
    const wanted = Math.min(size, end - at + 1);
    const { bytesRead } = await file.read(filling, 0, wanted, at);
    await sent;
    // The length was announced: a file that shrinks under us cannot be sent any more.
    if (bytesRead === 0) throw new IronError('E_IO', 'a file of the tree became shorter');
    sent = written(response, filling.subarray(0, bytesRead));
    sent.catch(() => {});
    [filling, sending] = [sending, filling];
    at += bytesRead;
  }
  await sent;
}

/** Resolves when the bytes were handed to the system, and may be overwritten. */
function written(response: ServerResponse, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(new GoneError());
    if (response.destroyed) {
      gone();
      return;
    }
    response.once('close', gone);
    response.write(bytes, (error) => {
      response.removeListener('close', gone);
      if (error == null) resolve();
      else reject(error);
    });
  });
}

/** The reader closed the connection. */
class GoneError extends Error {}

function isGone(error: unknown): boolean {
  if (error instanceof GoneError) return true;
  const codes = ['ERR_STREAM_DESTROYED', 'ECONNRESET', 'EPIPE'];
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/** RFC 9110 13.1.2: a list of validators, or any. Weak ones compare as what they wrap. */
function matches(field: string | undefined, etag: string): boolean {
  if (field === undefined || field.length > 4096) return false;
  return field.split(',').some((item) => {
    const one = item.trim().replace(/^W\//, '');
    return one === '*' || one === etag;
  });
}
