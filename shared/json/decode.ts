/**
 * Reading typed values out of the strict reader's tree, by hand: fields are asked for by name,
 * fields that nobody asks for stay in the tree untouched, and every refusal names its place.
 */

import { fromBase64, fromHex } from '../bytes.ts';
import { IronError } from '../errors.ts';
import { type Instant, parseInstant } from '../time.ts';
import { isJsonObject, type JsonArray, type JsonObject, type JsonValue } from './value.ts';

/** A value and where it stands, e.g. `root.roles.timestamp.threshold`. */
export class Node {
  readonly value: JsonValue;
  readonly #parent: Node | undefined;
  /** The whole path where there is no parent; a member's key or an item's place where there is. */
  readonly #step: string | number;

  constructor(value: JsonValue, path: string | number, parent?: Node) {
    this.value = value;
    this.#step = path;
    this.#parent = parent;
  }

  /** Put together when it is asked for: a snapshot has ten thousand places and no refusal. */
  get path(): string {
    if (this.#parent === undefined) return String(this.#step);
    const step = typeof this.#step === 'number' ? `[${this.#step}]` : `.${this.#step}`;
    return this.#parent.path + step;
  }

  /** `E_SCHEMA` about this place. */
  error(what: string): IronError {
    return new IronError('E_SCHEMA', `${this.path}: ${what}`, { context: { at: this.path } });
  }

  object(): JsonObject {
    if (!isJsonObject(this.value)) throw this.error('an object is expected');
    return this.value;
  }

  /** The member `key`, which must be there. */
  get(key: string): Node {
    const member = this.maybe(key);
    if (member === undefined) throw this.error(`the field ${JSON.stringify(key)} is missing`);
    return member;
  }

  /** The member `key`, or undefined. A member that is null is there. */
  maybe(key: string): Node | undefined {
    const value = this.object()[key];
    return value === undefined ? undefined : new Node(value, key, this);
  }

  /** All members, in the order of the text. */
  entries(limit = Number.POSITIVE_INFINITY): [key: string, member: Node][] {
    const entries = Object.entries(this.object());
    if (entries.length > limit) throw this.error(`more than ${limit} members`);
    return entries.map(([key, value]) => [key, new Node(value, shorten(key), this)]);
  }

  items(limit = Number.POSITIVE_INFINITY): Node[] {
    const values = this.array();
    if (values.length > limit) throw this.error(`more than ${limit} items`);
    return values.map((item: JsonValue, i) => new Node(item, i, this));
  }

  /** The items without their places, for whoever makes a place only where it is needed: `item`. */
  array(): JsonArray {
    if (!Array.isArray(this.value)) throw this.error('an array is expected');
    return this.value;
  }

  /** The item at `i`, which must be there. */
  item(i: number): Node {
    const value = this.array()[i];
    if (value === undefined) throw this.error(`an item ${i} is expected`);
    return new Node(value, i, this);
  }

  string(): string {
    if (typeof this.value !== 'string') throw this.error('a string is expected');
    return this.value;
  }

  /** A string that matches `form`, described by `name` in the refusal. */
  matching(form: RegExp, name: string): string {
    const text = this.string();
    if (!form.test(text)) throw this.error(`${name} is expected`);
    return text;
  }

  oneOf<const T extends string>(...allowed: T[]): T {
    const text = this.string();
    const found = allowed.find((choice) => choice === text);
    if (found === undefined) throw this.error(`one of ${allowed.join(', ')} is expected`);
    return found;
  }

  integer(least = Number.MIN_SAFE_INTEGER, most = Number.MAX_SAFE_INTEGER): number {
    if (typeof this.value !== 'number' || !Number.isSafeInteger(this.value)) {
      throw this.error('an integer is expected');
    }
    if (this.value < least || this.value > most) {
      throw this.error(`an integer from ${least} to ${most} is expected`);
    }
    return this.value;
  }

  boolean(): boolean {
    if (typeof this.value !== 'boolean') throw this.error('true or false is expected');
    return this.value;
  }

  instant(): Instant {
    return this.#located(() => parseInstant(this.string()));
  }

  hex(length?: number): Uint8Array {
    const bytes = this.#located(() => fromHex(this.string()));
    if (length !== undefined && bytes.length !== length)
      throw this.error(`${length} bytes are expected`);
    return bytes;
  }

  base64(): Uint8Array {
    return this.#located(() => fromBase64(this.string()));
  }

  /** Refuses members that are not named: for formats that are ours and closed. */
  only(...keys: string[]): this {
    for (const key of Object.keys(this.object())) {
      if (!keys.includes(key))
        throw this.error(`the field ${JSON.stringify(shorten(key))} is unknown`);
    }
    return this;
  }

  #located<T>(read: () => T): T {
    try {
      return read();
    } catch (cause) {
      if (cause instanceof IronError) throw this.error(cause.message);
      throw cause;
    }
  }
}

function shorten(key: string): string {
  return key.length > 60 ? `${key.slice(0, 60)}…` : key;
}
