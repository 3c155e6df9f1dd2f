/**
 * JSON as we emit it in evidence: compact, keys in the order in which they were put in, so that
 * equal inputs give equal bytes. Not the canonical form of TUF, whose control characters stand
 * for themselves and which others' JSON readers would refuse.
 */

import { utf8 } from '../bytes.ts';
import { IronError } from '../errors.ts';
import { isJsonObject, type JsonValue } from '../json/value.ts';

/** Bytes that the strict reader takes back. `E_SCHEMA` on what it would refuse. */
export function compactJson(value: JsonValue): Uint8Array {
  assertReadable(value);
  return utf8(JSON.stringify(value));
}

function assertReadable(value: JsonValue): void {
  if (typeof value === 'string') {
    assertWellFormed(value);
  } else if (typeof value === 'number') {
    if (!Number.isSafeInteger(value))
      throw new IronError('E_SCHEMA', `not a safe integer: ${value}`);
  } else if (isJsonObject(value)) {
    for (const [key, member] of Object.entries(value)) {
      assertWellFormed(key);
      assertReadable(member);
    }
  } else if (Array.isArray(value)) {
    for (const item of value) assertReadable(item);
  }
}

function assertWellFormed(text: string): void {
  if (!text.isWellFormed()) throw new IronError('E_SCHEMA', 'a lone surrogate has no UTF-8 form');
}
