/**
 * What is answered about one file in one form, whoever has its bytes: conditions, ranges and every
 * header field. A function of the request alone, so that an answer from memory is that from the disk.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ByteRange, parseRange } from './range.ts';

/** A year: files that never change may be kept for ever (RFC 8246, `immutable`). */
const FOREVER = 'public, max-age=31536000, immutable';

interface Form {
  /** Strong (RFC 9110 8.8.3). */
  readonly etag: string;
  /** Bytes. */
  readonly size: number;
  readonly cache: string;
  readonly type: string;
  /** Whether caches must ask again for who accepts other encodings. */
  readonly varies?: boolean;
  readonly encoding?: string;
}

/** A form with the fields that are the same in every answer about it: names and values in turn. */
export interface Representation extends Pick<Form, 'etag' | 'size'> {
  readonly fields: readonly string[];
  /** Those of the whole of it, which is what is nearly always asked for. */
  readonly whole: readonly string[];
  readonly type: string;
}

function representation(form: Form): Representation {
  const { etag, size, cache, type, varies, encoding } = form;
  const fields = [
    ...(varies === true ? ['vary', 'accept-encoding'] : []),
    ...(encoding === undefined ? [] : ['content-encoding', encoding]),
    ...['cache-control', cache, 'etag', etag, 'accept-ranges', 'bytes'],
    // Auditors verify in their browsers, on pages of other origins. All of it is public.
    ...['access-control-allow-origin', '*'],
    ...['access-control-expose-headers', 'etag, content-range, accept-ranges'],
    // Bytes of a vendor are never a page of this origin.
    ...['x-content-type-options', 'nosniff'],
    ...['content-security-policy', "default-src 'none'; sandbox"],
  ];
  const whole = [...fields, 'content-type', type, 'content-length', `${size}`];
  return { etag, size, type, fields, whole };
}

/** A file that never changes: it is called by its version or its digest, so its name is the validator. */
export function immutableForm(
  path: string,
  type: string,
  size: number,
  varies: boolean,
): Representation {
  return representation({ etag: `"${nameOf(path)}"`, size, cache: FOREVER, type, varies });
}

/** The same compressed: another representation, so another validator (RFC 9110 8.8.3.3). */
export function encodedForm(path: string, encoding: string, size: number): Representation {
  const etag = `"${nameOf(path)}+${encoding}"`;
  const type = 'application/json';
  return representation({ etag, size, cache: FOREVER, type, varies: true, encoding });
}

/** The one file that moves: small, so its validator is its digest. */
export function movingForm(sha256: string, size: number): Representation {
  const type = 'application/json';
  return representation({ etag: `"${sha256}"`, size, cache: 'no-cache', type });
}

function nameOf(path: string): string {
  return encodeURIComponent(path.slice(path.lastIndexOf('/') + 1));
}

/** Sends the head of the answer; the bytes that must follow, or undefined for none. */
export function sendHead(
  request: IncomingMessage,
  response: ServerResponse,
  { etag, size, type, fields, whole }: Representation,
): ByteRange | undefined {
  const { headers, method } = request;
  if (matches(headers['if-none-match'], etag)) {
    response.writeHead(304, fields as string[]);
    return undefined;
  }
  const ifRange = headers['if-range'];
  // RFC 9110 13.1.5: a range of another state of the file would be put together with this one's.
  const asked = ifRange === undefined || ifRange === etag ? headers.range : undefined;
  // RFC 9110 14.2: ranges are for GET.
  const range = method === 'GET' && asked !== undefined ? parseRange(asked, size) : undefined;
  if (range === undefined) {
    response.writeHead(200, whole as string[]);
    return method === 'HEAD' || size === 0 ? undefined : { start: 0, end: size - 1 };
  }
  if (range === 'unsatisfiable') {
    response.writeHead(416, [...fields, 'content-range', `bytes */${size}`]);
    return undefined;
  }
  const { start, end } = range;
  const length = ['content-type', type, 'content-length', `${end - start + 1}`];
  const part = [...fields, ...length, 'content-range', `bytes ${start}-${end}/${size}`];
  response.writeHead(206, part);
  return range;
}

/**
 * Bytes in memory. Short ones as a text of one character a byte (`latin1`), which Node puts into one
 * write with the head of the answer.
 */
export type Body = Uint8Array | string;

/** Longer than this, and a second part of one write costs less than a copy. */
const SHORT = 16 * 1024;

export function bodyOf(bytes: Buffer): Body {
  return bytes.length <= SHORT ? bytes.toString('latin1') : bytes;
}

export function bytesOf(body: Body): Uint8Array {
  return typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
}

/** An answer whose bytes are in memory. */
export function sendBody(
  request: IncomingMessage,
  response: ServerResponse,
  form: Representation,
  body: Body,
): void {
  const range = sendHead(request, response, form);
  if (range === undefined) {
    response.end();
    return;
  }
  const { start, end } = range;
  const isWhole = end - start + 1 === body.length;
  if (typeof body === 'string') response.end(isWhole ? body : body.slice(start, end + 1), 'latin1');
  else response.end(isWhole ? body : body.subarray(start, end + 1));
}

/** RFC 9110 13.1.2: a list of validators, or any. Weak ones compare as what they wrap. */
function matches(field: string | undefined, etag: string): boolean {
  if (field === undefined || field.length > 4096) return false;
  return field.split(',').some((item) => {
    const one = item.trim().replace(/^W\//, '');
    return one === '*' || one === etag;
  });
}
