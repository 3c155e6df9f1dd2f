/** A reader of DER (X.690), as far as signatures and certificates need one. */

export interface Der {
  /** The identifier octet: class, constructed or not, number. */
  readonly tag: number;
  readonly content: Uint8Array;
  /** With the identifier and the length. */
  readonly whole: Uint8Array;
}

export const TAG = {
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  sequence: 0x30,
  set: 0x31,
  /** Context-specific, constructed. */
  context: (number: number): number => 0xa0 + number,
} as const;

/** One element after another. `fail` makes the error that its user throws. */
export class DerReader {
  #at = 0;
  readonly #bytes: Uint8Array;
  readonly #fail: (why: string) => Error;

  constructor(bytes: Uint8Array, fail: (why: string) => Error) {
    this.#bytes = bytes;
    this.#fail = fail;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The identifier octet of what comes next; undefined at the end. */
  get tag(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** The next element, which must have this tag when one is given. */
  next(tag?: number): Der {
    const start = this.#at;
    const found = this.#byte();
    if ((found & 0x1f) === 0x1f) throw this.#fail('a tag of several bytes');
    if (tag !== undefined && found !== tag)
      throw this.#fail(`tag 0x${found.toString(16)} where 0x${tag.toString(16)} is expected`);
    const length = this.#length();
    if (length > this.#bytes.length - this.#at)
      throw this.#fail('an element is longer than what holds it');
    const content = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return { tag: found, content, whole: this.#bytes.subarray(start, this.#at) };
  }

  /** What is inside the next element. */
  into(tag: number): DerReader {
    return this.inside(this.next(tag));
  }

  inside(element: Der): DerReader {
    return new DerReader(element.content, this.#fail);
  }

  /** Passes over the next element when it has this tag. */
  maybe(tag: number): Der | undefined {
    return this.tag === tag ? this.next(tag) : undefined;
  }

  /** An object identifier with dots (X.690 8.19). */
  oid(): string {
    const { content } = this.next(TAG.oid);
    const arcs: number[] = [];
    let arc = 0;
    for (const [i, byte] of content.entries()) {
      arc = arc * 128 + (byte & 0x7f);
      if (!Number.isSafeInteger(arc)) throw this.#fail('an object identifier without end');
      if (byte < 128) {
        arcs.push(arc);
        arc = 0;
      } else if (i === content.length - 1) throw this.#fail('half an object identifier');
    }
    const [first] = arcs;
    if (first === undefined) throw this.#fail('an empty object identifier');
    const top = Math.min(2, Math.floor(first / 40));
    return [top, first - 40 * top, ...arcs.slice(1)].join('.');
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw this.#fail('it ends too early');
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 128) return first;
    const count = first & 0x7f;
    // X.690 10.1: definite lengths, in as few bytes as they need.
    if (count === 0 || count > 4) throw this.#fail('a length that is not of DER');
    let length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + this.#byte();
    if (length < 128 || length < 256 ** (count - 1))
      throw this.#fail('a length that is not of DER');
    return length;
  }
}
