/** What the strict reader yields. Objects have no prototype, so every key is ordinary data. */

export type JsonValue = string | number | boolean | null | JsonArray | JsonObject;
export type JsonArray = readonly JsonValue[];
/** An object without prototype: `__proto__` and `constructor` are keys like any other. */
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An object that can hold any key, from entries; a later entry replaces an earlier one. */
export function jsonObject(entries: Iterable<readonly [string, JsonValue]>): JsonObject {
  const object = emptyObject();
  for (const [key, value] of entries) object[key] = value;
  return object;
}

/** The prototype of every object here. It has nothing and inherits nothing; see `emptyObject`. */
const NOTHING: object = Object.freeze(Object.create(null));

/**
 * An object without members, inherited ones included. V8 keeps an object whose prototype is null
 * as a hash table, five times as large and as slow to make as one whose prototype is empty.
 */
export function emptyObject(): Record<string, JsonValue> {
  return Object.create(NOTHING);
}
