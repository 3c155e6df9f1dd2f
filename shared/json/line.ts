/** Where a byte of a text is for somebody with an editor. */

import { type IronError, isIronError } from '../errors.ts';

/** ` (line 3, column 1)` for an error of the reader that names a byte of `bytes`; nothing for any other. */
export function lineOf(error: IronError, bytes: Uint8Array): string {
  const { position } = error.context;
  if (!isIronError(error, 'E_JSON') || typeof position !== 'number') return '';
  let [line, begin] = [1, 0];
  for (let at = bytes.indexOf(0x0a); at !== -1 && at < position; at = bytes.indexOf(0x0a, begin)) {
    line += 1;
    begin = at + 1;
  }
  return ` (line ${line}, column ${position - begin + 1})`;
}
