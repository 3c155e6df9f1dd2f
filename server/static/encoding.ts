/**
 * Metadata in fewer bytes, for those who ask for it (RFC 9110 12.5.3): compressed at the first
 * request, and kept, since no file of a tree but the timestamp ever changes.
 */

import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { ENCODING_LIMITS } from '../../shared/limits.ts';

export type Encoding = 'br' | 'gzip';

const compressors: Readonly<Record<Encoding, (bytes: Uint8Array) => Promise<Uint8Array>>> = {
  gzip: (bytes) => promisify(gzip)(bytes, { level: 9 }),
  br: (bytes) =>
    promisify(brotliCompress)(bytes, {
      // Of 11 levels the last that takes no longer than gzip's best.
      params: {
        [constants.BROTLI_PARAM_QUALITY]: 6,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      },
    }),
};

/** What of ours the field asks for; undefined for neither. `q=0` refuses, other weights do not count. */
export function acceptedEncoding(field: string | undefined): Encoding | undefined {
  if (field === undefined || field.length > 1024) return undefined;
  const accepted = new Set<string>();
  for (const item of field.toLowerCase().split(',')) {
    const [name = '', ...params] = item.split(';').map((part) => part.trim());
    if (!params.some((param) => /^q=0(\.0{0,3})?$/.test(param))) accepted.add(name);
  }
  return (['br', 'gzip'] as const).find((name) => accepted.has(name));
}

/** Whether a file of this name and size is worth it; artifacts are not, and may be of any size. */
export function isCompressible(path: string, size: number): boolean {
  const { least, most } = ENCODING_LIMITS;
  return path.endsWith('.json') && size >= least && size <= most;
}

export class Compressed {
  /** Those used last are the last; together at most `ENCODING_LIMITS.kept` bytes. */
  readonly #kept = new Map<string, Uint8Array>();
  #bytes = 0;
  readonly #working = new Map<string, Promise<Uint8Array | undefined>>();

  /** What is kept of `file`: bytes, that compressing it is for nothing, or nothing yet. */
  peek(file: string, encoding: Encoding): Uint8Array | 'none' | undefined {
    const key = `${encoding} ${file}`;
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    return kept.length === 0 ? 'none' : kept;
  }

  /**
   * The compressed form of a file, by a name that it alone has, in a state that never changes.
   * Undefined when it would not be smaller, or when enough others are being compressed: then the
   * plain one is quicker.
   */
  async get(
    file: string,
    encoding: Encoding,
    read: () => Promise<Uint8Array>,
  ): Promise<Uint8Array | undefined> {
    const kept = this.peek(file, encoding);
    if (kept !== undefined) return kept === 'none' ? undefined : kept;
    const key = `${encoding} ${file}`;
    let working = this.#working.get(key);
    if (working === undefined) {
      if (this.#working.size >= ENCODING_LIMITS.atOnce) return undefined;
      working = this.#compress(key, encoding, read).finally(() => this.#working.delete(key));
      this.#working.set(key, working);
    }
    return await working;
  }

  async #compress(
    key: string,
    encoding: Encoding,
    read: () => Promise<Uint8Array>,
  ): Promise<Uint8Array | undefined> {
    const bytes = await read();
    const made = await compressors[encoding](bytes);
    // Noted as well when it was for nothing, so that nobody tries again.
    const result = made.length < bytes.length ? made : new Uint8Array();
    this.#kept.set(key, result);
    this.#bytes += result.length;
    for (const [oldest, { length }] of this.#kept) {
      if (this.#bytes <= ENCODING_LIMITS.kept && this.#kept.size <= ENCODING_LIMITS.files) break;
      this.#kept.delete(oldest);
      this.#bytes -= length;
    }
    return result.length === 0 ? undefined : result;
  }
}
