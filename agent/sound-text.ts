/**
 * Text that can be read again. A cut between the two halves of a surrogate pair leaves one of them
 * alone; that has no UTF-8 form, and our reader refuses a document that has one.
 */

import { type JsonObject, type JsonValue, jsonObject } from '../shared/json/value.ts';

/** The first `most` UTF-16 units of `text`, or one less where that would halve a code point. */
export function cutText(text: string, most: number): string {
  const cut = text.slice(0, most);
  const isHalved = cut.length < text.length && /[\ud800-\udbff]$/.test(cut);
  return (isHalved ? cut.slice(0, -1) : cut).toWellFormed();
}

/** The same document with a replacement character for each half of a pair, in keys too. */
export function soundObject(object: JsonObject): JsonObject {
  return jsonObject(
    Object.entries(object).map(([key, value]) => [key.toWellFormed(), soundValue(value)]),
  );
}

function soundValue(value: JsonValue): JsonValue {
  if (typeof value === 'string') return value.toWellFormed();
  if (typeof value !== 'object' || value === null) return value;
  return Array.isArray(value) ? value.map(soundValue) : soundObject(value as JsonObject);
}
