/**
 * How a message lies on a socket: its length in four bytes, big-endian, then so many bytes. One message a
 * connection each way: nobody has to tell where one ends and whose the next one is. Pure.
 */

import { concatBytes } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';

const HEAD = 4;

/** The message with its length before it. */
export function frameOf(message: Uint8Array): Uint8Array {
  const head = new Uint8Array(HEAD);
  new DataView(head.buffer).setUint32(0, message.length);
  return concatBytes(head, message);
}

/** Takes the pieces of one message as they come, and never holds more than `limit` bytes of it. */
export class FrameReader {
  readonly #limit: number;
  readonly #parts: Uint8Array[] = [];
  #held = 0;
  #wanted: number | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * The message, once it is whole. `E_TOO_LARGE` as soon as its length says so, before a byte of it is
   * kept; `E_SCHEMA` for one without a byte, and for bytes after its end.
   */
  push(piece: Uint8Array): Uint8Array | undefined {
    this.#parts.push(piece);
    this.#held += piece.length;
    this.#wanted ??= this.#readHead();
    if (this.#wanted === undefined || this.#held < HEAD + this.#wanted) return undefined;
    if (this.#held > HEAD + this.#wanted)
      throw new IronError('E_SCHEMA', 'bytes follow the end of the message');
    return concatBytes(...this.#parts).subarray(HEAD);
  }

  #readHead(): number | undefined {
    if (this.#held < HEAD) return undefined;
    const bytes = concatBytes(...this.#parts);
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
    if (length > this.#limit) {
      throw new IronError(
        'E_TOO_LARGE',
        `a message of ${length} bytes, where ${this.#limit} are taken`,
        {
          context: { length, limit: this.#limit },
        },
      );
    }
    if (length === 0) throw new IronError('E_SCHEMA', 'a message without a byte');
    return length;
  }
}
