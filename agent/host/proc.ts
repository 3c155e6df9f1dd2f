/** Reading /proc. Its files have no size, so that a reader with a cap by size cannot be used on them. */

import { readFile } from 'node:fs/promises';
import { onPath } from '../../shared/node/file-system.ts';

/**
 * A file of /proc, or `E_IO`: unknown is not safe. Byte for letter: the kernel looks at bytes, and
 * what is not ASCII may stand for anything.
 */
export function readProc(path: string): Promise<string> {
  return onPath(path, () => readFile(path, 'latin1'));
}
