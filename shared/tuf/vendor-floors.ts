/**
 * A vendor's own floors: `"x-ironport": {"generation_floors": {"PRODUCT": N}}` among the signed
 * fields of its role. By product and without the vendor's name: nobody can speak of another's.
 */

import { IronError } from '../errors.ts';
import type { Node } from '../json/decode.ts';
import { type JsonObject, jsonObject } from '../json/value.ts';
import { REVOCATION_LIMITS } from '../limits.ts';
import { parseArtifactPath } from './names.ts';
import { EXTENSION_FIELD } from './vendors.ts';

export const FLOORS_FIELD = 'generation_floors';

/** By component, i.e. `vendor/product`. `E_SCHEMA`, `E_NAME`. */
export function parseVendorFloors(signed: Node, vendor: string): ReadonlyMap<string, number> {
  const field = signed.maybe(EXTENSION_FIELD)?.maybe(FLOORS_FIELD);
  return new Map(
    (field?.entries(REVOCATION_LIMITS.entries) ?? []).map(([product, generation]) => [
      componentOf(vendor, product),
      generation.integer(1, REVOCATION_LIMITS.number),
    ]),
  );
}

/** The product's component; a product with a `/` in it would be somebody else's. `E_NAME`. */
export function componentOf(vendor: string, product: string): string {
  const path = `${vendor}/${product}/0/x`;
  if (parseArtifactPath(path).product === product) return `${vendor}/${product}`;
  throw new IronError('E_NAME', `not a product: ${JSON.stringify(product.slice(0, 80))}`);
}

/**
 * The field with these floors, by product, beside those that it has. `E_ROLLBACK` for one that would
 * go down: every host that read the higher one keeps it.
 */
export function raisedFloorsField(
  before: JsonObject,
  raised: ReadonlyMap<string, number>,
): JsonObject {
  const fields = new Map(Object.entries(before));
  for (const [product, floor] of raised) {
    const stands = fields.get(product) ?? 0;
    if (typeof stands === 'number' && stands > floor)
      throw new IronError('E_ROLLBACK', `the floor of ${product} is ${stands} already`, {
        why: 'hosts that have seen it keep it, whatever a later role says',
        hint: 'nothing was signed; a floor only rises',
        context: { product, before: stands, now: floor },
      });
    fields.set(product, floor);
  }
  return jsonObject(fields);
}
