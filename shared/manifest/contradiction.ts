/** A ceiling that cannot mean what it says. */

import { IronError } from '../errors.ts';
import type { Node } from '../json/decode.ts';

/** `E_CEILING` about a place of the document. */
export function contradiction(node: Node, what: string): IronError {
  return new IronError('E_CEILING', `${node.path}: ${what}`, { context: { at: node.path } });
}
