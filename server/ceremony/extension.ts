/** The targets that follow with one field of ours said anew. Pure. */

import { IronError } from '../../shared/errors.ts';
import { canonicalText } from '../../shared/json/canonical.ts';
import { type JsonObject, type JsonValue, jsonObject } from '../../shared/json/value.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import { objectMember, withFields } from '../../shared/tuf/build.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { EXTENSION_FIELD } from '../../shared/tuf/vendors.ts';

export interface ExtensionField {
  readonly name: string;
  /** Undefined takes the field away. */
  readonly value: JsonValue | undefined;
}

/**
 * The same targets with this field of `x-ironport`, everything else as it was.
 * @param already what is said with `E_NOTHING_TO_DO` when they say so already
 */
export function withExtension(
  targets: Targets,
  { name, value }: ExtensionField,
  expires: Instant,
  already = 'these targets say just this already',
): JsonObject {
  const { tree } = targets.envelope;
  const before = objectMember(tree, EXTENSION_FIELD);
  const others = jsonObject(Object.entries(before).filter(([other]) => other !== name));
  const extension = value === undefined ? others : withFields(others, { [name]: value });
  if (canonicalText(extension) === canonicalText(before))
    throw new IronError('E_NOTHING_TO_DO', already, { hint: 'nothing was written' });
  return withFields(tree, {
    [EXTENSION_FIELD]: extension,
    version: targets.version + 1,
    expires: formatInstant(expires),
  });
}
