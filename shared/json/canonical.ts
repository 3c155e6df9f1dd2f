/**
 * Canonical JSON as TUF signs it (OLPC's rules, TUF 1.0.34 section 4.2): no white space, keys in
 * the order of their code points, only `"` and `\` escaped, integers only. Control characters
 * stand for themselves, so canonical text need not be JSON that a reader accepts.
 */

import { fromUtf8, utf8 } from '../bytes.ts';
import { IronError } from '../errors.ts';
import { isJsonObject, type JsonValue } from './value.ts';

/** The bytes that a signature over `value` covers. Throws `E_SCHEMA` on what has no such form. */
export function canonicalBytes(value: JsonValue): Uint8Array {
  const writer = new Writer();
  writer.value(value);
  return writer.written();
}

/** The same as text. */
export function canonicalText(value: JsonValue): string {
  return fromUtf8(canonicalBytes(value));
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;

/** Writes straight into bytes: a role may list a hundred thousand targets. */
class Writer {
  #bytes = new Uint8Array(1024);
  #at = 0;

  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  value(value: JsonValue): void {
    if (typeof value === 'string') this.#string(value);
    else if (typeof value === 'number') this.#number(value);
    else if (typeof value === 'boolean' || value === null) this.#word(String(value));
    else if (isJsonObject(value)) this.#object(value);
    else this.#array(value);
  }

  #object(object: { readonly [key: string]: JsonValue }): void {
    this.#byte(0x7b);
    let isFirst = true;
    for (const key of sortedKeys(object)) {
      if (!isFirst) this.#byte(COMMA);
      isFirst = false;
      this.#string(key);
      this.#byte(COLON);
      this.value(object[key] as JsonValue);
    }
    this.#byte(0x7d);
  }

  #array(array: readonly JsonValue[]): void {
    this.#byte(0x5b);
    for (let i = 0; i < array.length; i++) {
      if (i > 0) this.#byte(COMMA);
      this.value(array[i] as JsonValue);
    }
    this.#byte(0x5d);
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value))
      throw new IronError('E_SCHEMA', 'canonical JSON has integers only');
    this.#word(String(value));
  }

  #string(text: string): void {
    // At most an escape before each unit, and the quotes.
    this.#reserve(2 * text.length + 2);
    const bytes = this.#bytes;
    let at = this.#at;
    bytes[at++] = QUOTE;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) {
        this.#beyondAscii(text);
        return;
      }
      if (unit === QUOTE || unit === BACKSLASH) bytes[at++] = BACKSLASH;
      bytes[at++] = unit;
    }
    bytes[at++] = QUOTE;
    this.#at = at;
  }

  #beyondAscii(text: string): void {
    if (!text.isWellFormed()) throw new IronError('E_SCHEMA', 'a lone surrogate has no UTF-8 form');
    const encoded = utf8(`"${text.replace(/["\\]/g, '\\$&')}"`);
    this.#reserve(encoded.length);
    this.#bytes.set(encoded, this.#at);
    this.#at += encoded.length;
  }

  /** A few characters of ASCII. */
  #word(text: string): void {
    this.#reserve(text.length);
    for (let i = 0; i < text.length; i++) this.#bytes[this.#at++] = text.charCodeAt(i);
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = byte;
  }

  #reserve(length: number): void {
    const needed = this.#at + length;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}

function sortedKeys(object: { readonly [key: string]: JsonValue }): string[] {
  const keys = Object.keys(object);
  // UTF-16 order is code point order unless surrogates take part; they seldom do.
  if (keys.some((key) => /[\ud800-\udfff]/.test(key))) return keys.sort(byCodePoint);
  return keys.every((key, i) => i === 0 || (keys[i - 1] as string) < key) ? keys : keys.sort();
}

/** Order of Unicode code points, which is also the order of UTF-8 bytes. */
function byCodePoint(a: string, b: string): number {
  const [left, right] = [Array.from(a), Array.from(b)];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = (left[i]?.codePointAt(0) ?? 0) - (right[i]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
