/** Arbitrary values of the kind that the strict reader yields. */

import fc from 'fast-check';
import { isJsonObject, type JsonValue, jsonObject } from '../../shared/json/value.ts';

/** Well-formed text with letters from all planes, and what needs escaping. */
export const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.string({
    unit: fc.constantFrom(...'ab"\\/\n\t\u0001\u007f\u2028', '\ufffd', '😀', '\u{10ffff}'),
    maxLength: 8,
  }),
  fc.constantFrom('__proto__', 'constructor', 'toString', '0', '10', ''),
);

export const integer = fc.oneof(
  fc.maxSafeInteger().map((number) => (Object.is(number, -0) ? 0 : number)),
  fc.integer(),
  fc.constantFrom(0, 1, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
);

export const value: fc.Arbitrary<JsonValue> = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    text,
    integer,
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.array(fc.tuple(text, tie('value')), { maxLength: 5 }).map((entries) => jsonObject(entries)),
  ),
})).value;

/** The same with objects as JSON.parse makes them, own `__proto__` included. */
export function ordinary(given: JsonValue): unknown {
  if (isJsonObject(given)) {
    const object = {};
    for (const [key, member] of Object.entries(given)) {
      Object.defineProperty(object, key, {
        value: ordinary(member),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
    return object;
  }
  return Array.isArray(given) ? given.map(ordinary) : given;
}
