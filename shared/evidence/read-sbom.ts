/** The SPDX document beside an artifact: SPDX says in its own words which of the two versions it is. */

import type { Node } from '../json/decode.ts';
import type { Sbom } from './sbom.ts';
import { readSpdx } from './spdx.ts';
import { readSpdx3 } from './spdx3.ts';

/** `E_SCHEMA`. */
export function readSbom(node: Node): Sbom {
  return node.maybe('@context') === undefined ? readSpdx(node) : readSpdx3(node);
}
