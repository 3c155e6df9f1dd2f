/**
 * Published files that nobody has any more, as the operators say: in one field at the top level of the signed
 * targets, by their places in the tree. It changes nothing for hosts. Whoever verifies a whole tree takes it as
 * the word of those who answer for it that a file which no reader is sent to was there and is lost; whoever holds
 * the machine and no key of theirs cannot have a file that was taken away pass for one.
 */

import { IronError } from '../errors.ts';
import type { Node } from '../json/decode.ts';
import { LOST_LIMITS } from '../limits.ts';
import { EXTENSION_FIELD } from './vendors.ts';

/** The field of `x-ironport` that is meant here. */
export const LOST_FIELD = 'lost';

/** A version of a role but root, without which nobody follows the chain; or the bytes of a target. */
const PLACE = /^(?:metadata\/[1-9]\d{0,15}\.(?!root\.json$)[^/]+\.json|targets\/.+)$/;

/** What the top-level targets say is lost; nothing when they say nothing. `E_SCHEMA`. */
export function parseLost(signed: Node): ReadonlySet<string> {
  const field = signed.maybe(EXTENSION_FIELD)?.maybe(LOST_FIELD);
  const places = field?.items(LOST_LIMITS.places) ?? [];
  return new Set(
    places.map((place) => {
      const text = place.matching(PLACE, 'the place of a published file');
      if (text.length <= LOST_LIMITS.place) return text;
      throw new IronError('E_SCHEMA', `${place.path} is longer than a place in a tree`);
    }),
  );
}

/** The field as it goes into the targets. `E_TOO_LARGE`. */
export function lostField(places: Iterable<string>): string[] {
  const sorted = [...new Set(places)].sort();
  if (sorted.length <= LOST_LIMITS.places) return sorted;
  throw new IronError('E_TOO_LARGE', `${sorted.length} files are more than targets can name`, {
    why: `at most ${LOST_LIMITS.places} are: what lost more than that is no repository any more`,
    hint: 'nothing was written; restore a backup',
  });
}
