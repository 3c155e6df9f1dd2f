/**
 * What the metadata of a pattern says in a few words: its version, the kernel, the family. All three are
 * compared letter by letter, and stand in provenances, where the policies of hosts compare them again.
 */

import { IronError } from '../../../shared/errors.ts';
import type { Node } from '../../../shared/json/decode.ts';
import { PIPELINE_LIMITS } from '../../../shared/limits.ts';

/**
 * Visible characters of ASCII, with spaces between them: of other letters there are some that look the
 * same, and a space at the end nobody sees.
 */
const LABEL = /^[!-~]+( +[!-~]+)*$/;
const FORM = `1 to ${PIPELINE_LIMITS.label} visible characters of ASCII, spaces only between them`;

function isLabel(text: string): boolean {
  return text.length <= PIPELINE_LIMITS.label && LABEL.test(text);
}

/** As it stands in a file. `E_SCHEMA`. */
export function readLabel(node: Node): string {
  const text = node.string();
  if (!isLabel(text)) throw node.error(`${FORM} are expected`);
  return text;
}

/** As a command was given it, under the name that the command has for it. `E_USAGE`. */
export function givenLabel(name: string, text: string): string {
  if (isLabel(text)) return text;
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  throw new IronError(
    'E_USAGE',
    `${name} is not what a pattern can say: ${JSON.stringify(shown)}`,
    {
      hint: `nothing was written; give ${FORM}`,
    },
  );
}
