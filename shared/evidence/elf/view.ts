/**
 * Bytes of an ELF file, read at places that the file itself names: every read says where it is and
 * is refused beyond the end. Numbers of 64 bits are exact, or refused.
 */

import { IronError } from '../../errors.ts';

export class View {
  readonly bytes: Uint8Array;
  readonly #data: DataView;
  readonly #isLittle: boolean;
  /** Whether addresses, offsets and sizes have 64 bits. */
  readonly is64: boolean;

  constructor(bytes: Uint8Array, isLittle: boolean, is64: boolean) {
    this.bytes = bytes;
    this.#data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#isLittle = isLittle;
    this.is64 = is64;
  }

  u8(at: number): number {
    return this.#data.getUint8(this.#inside(at, 1));
  }

  u16(at: number): number {
    return this.#data.getUint16(this.#inside(at, 2), this.#isLittle);
  }

  u32(at: number): number {
    return this.#data.getUint32(this.#inside(at, 4), this.#isLittle);
  }

  /** An address, exact. */
  address(at: number): bigint {
    return this.is64
      ? this.#data.getBigUint64(this.#inside(at, 8), this.#isLittle)
      : BigInt(this.u32(at));
  }

  /** An offset or a size: more than a file can hold is refused before it is rounded. */
  offset(at: number): number {
    const value = this.address(at);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed(`${value} bytes are none`);
    return Number(value);
  }

  /** `length` bytes from `at`, not copied. */
  part(at: number, length: number, what: string): Uint8Array {
    if (at > this.bytes.length || length > this.bytes.length - at)
      throw malformed(`${what} lies beyond the end of the file`);
    return this.bytes.subarray(at, at + length);
  }

  /** The same as a view of its own. */
  view(at: number, length: number, what: string): View {
    return new View(this.part(at, length, what), this.#isLittle, this.is64);
  }

  #inside(at: number, length: number): number {
    if (at > this.bytes.length - length)
      throw malformed('a header lies beyond the end of the file');
    return at;
  }
}

export function malformed(why: string): IronError {
  return new IronError('E_SCHEMA', `not an ELF file that can be read: ${why}`, {
    hint: 'nothing was changed',
  });
}
