/** What carries a request: the little of undici's Dispatcher that we use, so that two can stand in for it. */

import type { Dispatcher } from 'undici';

export interface Request {
  readonly origin: string;
  readonly path: string;
  readonly method: 'GET';
  readonly headers: Readonly<Record<string, string>>;
}

export interface Connections {
  /** Sends it and tells `handler` what comes. Throws on a path that no request can carry. */
  dispatch(request: Request, handler: Dispatcher.DispatchHandler): unknown;
  /** Closes idle connections; those in use end with their requests. */
  close(): Promise<void>;
}
