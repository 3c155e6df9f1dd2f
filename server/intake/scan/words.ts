/** What a scanner wrote, for those who have names of their own for the files. */

import { SCANNER_LIMITS } from '../../../shared/limits.ts';

/** Files by their place, each with the target paths that have its bytes. */
export type Files = ReadonlyMap<string, readonly string[]>;

/** By target paths, without places of this machine; one line, of so many characters. */
export function inWords(output: string, files: Files, home: string): string {
  let text = output;
  for (const [place, paths] of files)
    if (text.includes(place)) text = text.replaceAll(place, paths.join(', '));
  return text
    .replaceAll(home, '…')
    .split('\n')
    .map((line) => line.replaceAll(/\p{C}/gu, '').trim())
    .filter((line) => line !== '')
    .join('; ')
    .slice(0, SCANNER_LIMITS.said);
}
