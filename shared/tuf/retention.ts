/**
 * How long the bytes of a target stay after the last snapshot that listed it: what the operators
 * promise to readers, in one field at the top level of the signed targets, beside the vendors.
 * Metadata stays for ever, and so do the names and digests in it; only bytes go (invariant 6).
 */

import { IronError } from '../errors.ts';
import type { Node } from '../json/decode.ts';
import { type JsonObject, jsonObject } from '../json/value.ts';
import { RETENTION_LIMITS } from '../limits.ts';
import { EXTENSION_FIELD } from './vendors.ts';

export interface Retention {
  /**
   * Seconds that a target is there still, counted from the expiry of the last snapshot that listed
   * it: until then a reader may go by that snapshot without being told of another.
   */
  readonly window: number;
  /** Seconds beyond that which nobody is promised: for clocks that differ, and what is under way. */
  readonly grace: number;
}

/** The field of `x-ironport` that is meant here. */
export const RETENTION_FIELD = 'retention';

/** What the top-level targets say; undefined when they name no window. `E_SCHEMA`. */
export function parseRetention(signed: Node): Retention | undefined {
  const field = signed.maybe(EXTENSION_FIELD)?.maybe(RETENTION_FIELD);
  if (field === undefined) return undefined;
  const { leastWindow, leastGrace, most } = RETENTION_LIMITS;
  field.only('window', 'grace');
  return {
    window: field.get('window').integer(leastWindow, most),
    grace: field.get('grace').integer(leastGrace, most),
  };
}

/** The field as it goes into the targets. `E_SCHEMA` for a window that is none. */
export function retentionField({ window, grace }: Retention): JsonObject {
  const { leastWindow, leastGrace, most } = RETENTION_LIMITS;
  if (window < leastWindow || grace < leastGrace || window > most || grace > most)
    throw new IronError('E_SCHEMA', 'a window has 7 days at least, its grace one day', {
      why: 'a client may go by a snapshot for as long as that is valid, and clocks differ',
      hint: 'nothing was written; the longest of each is 100 years',
    });
  return jsonObject([
    ['window', window],
    ['grace', grace],
  ]);
}
