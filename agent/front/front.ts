/**
 * The front: talks to people, has no rights, and is not believed by the helper. It passes on what is of the
 * form of a request, one at a time for each connection, and gives back what it is told. What it could do
 * with its freedom is to be slow.
 */

import { asIronError } from '../../shared/errors.ts';
import { formatAnswer } from '../wire/answer.ts';
import { exchange } from '../wire/ask.ts';
import { formatRequest, parseRequest } from '../wire/request.ts';
import { type Served, serve } from '../wire/serve.ts';

export interface FrontOptions {
  /** Where people ask. */
  readonly socket: string;
  /** Where the helper is asked. */
  readonly helper: string;
  readonly signal: AbortSignal;
}

/** Begins to serve people. Who may ask is decided by the rights to the socket's folder. */
export function serveFront({ socket, helper, signal }: FrontOptions): Promise<Served> {
  return serve({
    path: socket,
    mode: 0o660,
    // People are not told apart: the folder lets in who may.
    admit: () => ({ pid: 0, user: 0 }),
    answer: async (message) => {
      try {
        // What it passes on are bytes of its own.
        return await exchange(helper, formatRequest(parseRequest(message)), { signal });
      } catch (thrown) {
        const error = asIronError(thrown);
        return formatAnswer({
          exit: error.exit,
          schema: 'ironport-agent/error/v1',
          outcome: { error },
        });
      }
    },
  });
}
