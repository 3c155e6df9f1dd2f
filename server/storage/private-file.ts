/**
 * Files of the private folder that say how the service is to behave. One that is damaged is a failure of
 * this machine, which its operators hear of, and never the fault of who asked.
 */

import { asIronError, IronError, isIronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { readJsonFile } from '../../shared/node/files.ts';
import { promptFiles } from '../../shared/node/prompt-files.ts';

/** What `read` makes of the file at `path`; undefined when there is none. `E_STORE`, `E_IO`. */
export async function readPrivate<T>(
  path: string,
  cap: number,
  read: (node: Node) => T,
): Promise<T | undefined> {
  try {
    return read(new Node(await readJsonFile(path, cap, { files: promptFiles }), path));
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) return undefined;
    if (!isIronError(error, 'E_JSON', 'E_SCHEMA', 'E_TOO_LARGE', 'E_CONFIG')) throw error;
    throw new IronError('E_STORE', `${path} is damaged`, {
      why: asIronError(error).message,
      hint: 'nothing was taken in; write it again with the command that makes it',
      cause: error,
      context: { path },
    });
  }
}
