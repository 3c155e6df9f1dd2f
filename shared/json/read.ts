/**
 * The strict JSON reader: the only way in from outside.
 *
 * One linear pass. Refused, each with the byte position: more bytes than the caller's cap, deeper
 * nesting than the limit, a key twice in one object, a number that is not a safe integer, a lone
 * surrogate, bytes that are not UTF-8, and anything but white space after the value. RFC 8259
 * leaves all of these to the reader; two readers that choose differently are how one file comes
 * to mean two things.
 */

import { fromUtf8, utf8 } from '../bytes.ts';
import { IronError } from '../errors.ts';
import { JSON_LIMITS } from '../limits.ts';
import { emptyObject, type JsonObject, type JsonValue } from './value.ts';

export interface ReadLimits {
  /** Most bytes accepted. */
  readonly length: number;
  /** Deepest nesting of arrays and objects accepted. */
  readonly depth?: number;
}

/** Reads one JSON text. Throws `E_TOO_LARGE` over the cap and `E_JSON` on everything else. */
export function parseJson(bytes: Uint8Array, limits: ReadLimits): JsonValue {
  checkLength(bytes, limits);
  return new Reader(fromUtf8(bytes), limits).document();
}

/** A document of which one member is signed. */
export interface SignedDocument {
  readonly value: JsonValue;
  /**
   * The bytes of that member in the file, a view of them, where they are its canonical form
   * already: it then need not be written once more to be verified. Undefined says nothing.
   */
  readonly canonical: Uint8Array | undefined;
  /** The object in it that has the keys which were guessed; undefined when none has exactly those. */
  readonly guessed: JsonObject | undefined;
}

/**
 * As `parseJson`; `member` names what is signed, in an object that is the whole document.
 * @param guess keys that one object in it has, in their order, if all is as it was in a document before:
 *   then the very same texts are taken for keys, of which there may be thousands. It changes nothing else.
 */
export function parseSigned(
  bytes: Uint8Array,
  limits: ReadLimits,
  member: string,
  guess?: readonly string[],
): SignedDocument {
  checkLength(bytes, limits);
  const text = fromUtf8(bytes);
  const reader = new Reader(text, limits, member, guess);
  const value = reader.document();
  const { canonicalSpan: span, guessed } = reader;
  // Positions in the text are positions in the bytes only where every character is one byte.
  const isBytes = text.length === bytes.length;
  const canonical = span && isBytes ? bytes.subarray(span.start, span.end) : undefined;
  return { value, canonical, guessed };
}

function checkLength(bytes: Uint8Array, limits: ReadLimits): void {
  if (bytes.length > limits.length) {
    throw new IronError(
      'E_TOO_LARGE',
      `${bytes.length} bytes where at most ${limits.length} are read`,
      {
        context: { length: bytes.length, limit: limits.length },
      },
    );
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

const CONTROL = /[^\u0020-\uffff]/;

/** Longest string that is looked up before it is made, in UTF-16 units. */
const SHORT = 24;

class Reader {
  readonly #text: string;
  /**
   * Whether every string ends at the next quote, as in what programs write compactly: there is no reverse
   * solidus in the whole text, and no control character. (For one letter a text is searched far quicker
   * than for a class of them.)
   */
  readonly #isPlain: boolean;
  readonly #maxDepth: number;
  #at = 0;
  #depth = 0;
  /** Short strings that were read, by a sum over them; another one of that sum takes the place. */
  readonly #short: (string | undefined)[] = new Array(256).fill(undefined);
  /** Short objects of the member without containers in them, by a sum over how they are written. */
  readonly #leaves: ({ readonly text: string; readonly value: JsonValue } | undefined)[] =
    new Array(64).fill(undefined);
  /** Where the text was last found to be written otherwise than canonical JSON is; -1: nowhere. */
  #deviation = -1;
  /** The member of the outermost object whose form is of interest, and where it began. */
  readonly #member: string | undefined;
  #memberAt = -1;
  /** Where that member stands, when nothing in it deviates. */
  canonicalSpan: { readonly start: number; readonly end: number } | undefined;
  /** Keys that an object of the member may have, and the object that turned out to have them. */
  readonly #guess: readonly string[];
  guessed: JsonObject | undefined;

  constructor(text: string, limits: ReadLimits, member?: string, guess: readonly string[] = []) {
    this.#guess = guess;
    this.#text = text;
    this.#isPlain = !text.includes('\\') && !CONTROL.test(text);
    this.#maxDepth = limits.depth ?? JSON_LIMITS.depth;
    this.#member = member;
  }

  document(): JsonValue {
    const value = this.#value();
    this.#next();
    if (this.#at !== this.#text.length) throw this.#error('something follows the value');
    return value;
  }

  #value(): JsonValue {
    switch (this.#next()) {
      case QUOTE:
        return this.#string();
      case OPEN_OBJECT:
        return this.#object();
      case OPEN_ARRAY:
        return this.#array();
      case 0x74:
        return this.#word('true', true);
      case 0x66:
        return this.#word('false', false);
      case 0x6e:
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #object(): JsonValue {
    const start = this.#at;
    this.#open();
    const known = this.#memberAt === -1 ? undefined : this.#knownLeaf(start);
    if (known !== undefined) {
      this.#depth--;
      this.#at = start + known.text.length;
      return known.value;
    }
    const object = emptyObject();
    if (this.#next() === CLOSE_OBJECT) return this.#close(object);
    let isLeaf = this.#memberAt !== -1;
    let previous = '';
    let isOrdered = true;
    /** How many keys are those of the guess; -1 once one is not. */
    let guessed = isLeaf && this.guessed === undefined ? 0 : -1;
    for (;;) {
      if (this.#next() !== QUOTE) throw this.#error('a key in double quotes is expected');
      const keyAt = this.#at;
      const guess = guessed === -1 ? undefined : this.#guess[guessed];
      const key = guess === undefined ? this.#string() : this.#guessedOr(guess);
      guessed = key === guess ? guessed + 1 : -1;
      // While each key comes after the one before it, none can stand twice.
      if (!isOrdered || !(key > previous)) {
        isOrdered = false;
        if (object[key] !== undefined)
          throw this.#error(`the key ${JSON.stringify(key.slice(0, 60))} stands twice`, keyAt);
        // The order of canonical JSON; once it is lost, it need not be looked at any more.
        if (this.#deviation < this.#memberAt && key < previous) this.#deviation = keyAt;
      }
      previous = key;
      if (this.#next() !== COLON) throw this.#error('a colon is expected');
      this.#at++;
      const value = this.#depth === 1 && key === this.#member ? this.#signed() : this.#value();
      object[key] = value;
      isLeaf &&= typeof value !== 'object' || value === null;
      const after = this.#next();
      if (after === CLOSE_OBJECT) {
        this.#close(object);
        if (isLeaf) this.#keepLeaf(start, object);
        if (guessed > 0 && guessed === this.#guess.length) this.guessed = object;
        return object;
      }
      if (after !== COMMA) throw this.#error('a comma or the end of the object is expected');
      this.#at++;
    }
  }

  /**
   * A leaf that was read before and is written here again: thousands of entries say the same few things,
   * and what is the same text is the same value. (To look for the end of an object within others costs
   * as many looks as these are nested, and that has a limit.)
   */
  #knownLeaf(start: number): { readonly text: string; readonly value: JsonValue } | undefined {
    const end = this.#text.indexOf('}', start) + 1;
    if (end - start > SHORT || end === 0) return undefined;
    const known = this.#leaves[this.#leafSlot(start, end)];
    const isIt = known?.text.length === end - start && this.#text.startsWith(known.text, start);
    return isIt ? known : undefined;
  }

  /** Only what is written canonically: it may be met again where that is looked at. */
  #keepLeaf(start: number, value: JsonValue): void {
    if (this.#at - start > SHORT || this.#deviation >= start) return;
    const text = this.#text.slice(start, this.#at);
    this.#leaves[this.#leafSlot(start, this.#at)] = { text, value };
  }

  #leafSlot(start: number, end: number): number {
    const text = this.#text;
    return (text.charCodeAt(end - 2) + 10 * text.charCodeAt(end - 3) + end - start) & 0x3f;
  }

  /** The value of the member whose form is of interest. */
  #signed(): JsonValue {
    this.#next();
    const start = this.#at;
    this.#memberAt = start;
    const value = this.#value();
    if (this.#deviation < start) this.canonicalSpan = { start, end: this.#at };
    this.#memberAt = -1;
    return value;
  }

  #array(): JsonValue {
    this.#open();
    if (this.#next() === CLOSE_ARRAY) return this.#close([]);
    // Thousands have one item only: here is room for that one, where `push` makes some for 17.
    const array = [this.#value()];
    for (;;) {
      const after = this.#next();
      if (after === CLOSE_ARRAY) return this.#close(array);
      if (after !== COMMA) throw this.#error('a comma or the end of the array is expected');
      this.#at++;
      array.push(this.#value());
    }
  }

  #string(): string {
    const text = this.#text;
    const start = ++this.#at;
    if (this.#isPlain) {
      const end = text.indexOf('"', start);
      if (end !== -1) {
        this.#at = end + 1;
        return this.#slice(start, end);
      }
    }
    for (let at = start; ; at++) {
      const unit = text.charCodeAt(at);
      if (unit === QUOTE) {
        this.#at = at + 1;
        // The decoder yields no lone surrogate, so a string without escapes is well formed.
        return this.#slice(start, at);
      }
      if (unit === BACKSLASH) return this.#escaped(start, at);
      // NaN at the end of the text fails the comparison as well.
      if (!(unit >= 0x20)) throw this.#badUnit(at);
    }
  }

  /** The key that stands here: `guess` itself when it is that. */
  #guessedOr(guess: string): string {
    const text = this.#text;
    const start = this.#at + 1;
    // Where nothing is escaped the key is what stands before the next quote.
    const end = this.#isPlain ? text.indexOf('"', start) : -1;
    if (end - start !== guess.length || !text.startsWith(guess, start)) return this.#string();
    this.#at = end + 1;
    return guess;
  }

  /**
   * The text from `start` to `end`. Documents say the same few keys and words over and over: one that
   * was read before is taken again, which is a string less to make and to collect, and a key of which
   * V8 knows already that it is one.
   */
  #slice(start: number, end: number): string {
    const text = this.#text;
    const length = end - start;
    if (length > SHORT) return text.slice(start, end);
    const slot = (7 * text.charCodeAt(start) + 31 * text.charCodeAt(end - 1) + length) & 0xff;
    const known = this.#short[slot];
    if (known !== undefined && known.length === length && text.startsWith(known, start)) {
      return known;
    }
    const read = text.slice(start, end);
    this.#short[slot] = read;
    return read;
  }

  #escaped(start: number, first: number): string {
    const parts = [this.#text.slice(start, first)];
    let at = first;
    let plain = at;
    for (;;) {
      const unit = this.#text.charCodeAt(at);
      if (unit === QUOTE) break;
      if (!(unit >= 0x20)) throw this.#badUnit(at);
      if (unit !== BACKSLASH) {
        at++;
        continue;
      }
      parts.push(this.#text.slice(plain, at));
      const letter = this.#text.charAt(at + 1);
      const hex = this.#text.slice(at + 2, at + 6);
      const single = letter === '' ? undefined : ESCAPES[letter];
      // Canonical JSON escapes these two, and only these.
      if (letter !== '"' && letter !== '\\') this.#deviation = at;
      if (letter === 'u' && /^[0-9a-fA-F]{4}$/.test(hex)) {
        parts.push(String.fromCharCode(Number.parseInt(hex, 16)));
        at += 6;
      } else if (single !== undefined) {
        parts.push(single);
        at += 2;
      } else {
        throw this.#error('not an escape of JSON', at);
      }
      plain = at;
    }
    parts.push(this.#text.slice(plain, at));
    this.#at = at + 1;
    const value = parts.join('');
    if (!value.isWellFormed()) throw this.#error('a lone surrogate', start);
    return value;
  }

  #number(): number {
    const text = this.#text;
    const start = this.#at;
    const isNegative = text.charCodeAt(start) === 0x2d;
    const digits = isNegative ? start + 1 : start;
    let at = digits;
    let sum = 0;
    let unit = text.charCodeAt(at);
    // Exact up to 2^53, and not below 2^53 for anything beyond.
    while (unit >= 0x30 && unit <= 0x39) {
      sum = sum * 10 + (unit - 0x30);
      unit = text.charCodeAt(++at);
    }
    if (at === digits) throw this.#error('a value is expected');
    if (text.charCodeAt(digits) === 0x30 && at > digits + 1)
      throw this.#error('a number with a leading zero');
    // '.', 'e' and 'E' make a number that has no single canonical form.
    if (unit === 0x2e || unit === 0x65 || unit === 0x45)
      throw this.#error('a number that is not an integer');
    const value = isNegative ? -sum : sum;
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      throw this.#error('a number outside the safe integers');
    }
    this.#at = at;
    return value;
  }

  #word<T extends JsonValue>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#error('a value is expected');
    this.#at += word.length;
    return value;
  }

  #open(): void {
    if (++this.#depth > this.#maxDepth) throw this.#error(`nested deeper than ${this.#maxDepth}`);
    this.#at++;
  }

  #close<T>(value: T): T {
    this.#depth--;
    this.#at++;
    return value;
  }

  /** The next unit that is not white space, without passing it. */
  #next(): number {
    const text = this.#text;
    let at = this.#at;
    let unit = text.charCodeAt(at);
    if (unit > 0x20) return unit;
    while (unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09) {
      this.#deviation = at;
      unit = text.charCodeAt(++at);
    }
    this.#at = at;
    return unit;
  }

  #badUnit(at: number): IronError {
    return at >= this.#text.length
      ? this.#error('the text ends inside a string', at)
      : this.#error('a control character inside a string', at);
  }

  #error(what: string, at = this.#at): IronError {
    const ended = at >= this.#text.length && what.includes('expected');
    // Bytes, not UTF-16 units: what an editor or `head -c` can find again.
    const position = utf8(this.#text.slice(0, at)).length;
    return new IronError('E_JSON', `${ended ? 'the text ends: ' : ''}${what} at byte ${position}`, {
      context: { position },
    });
  }
}
