/**
 * Answers to requests whose body nobody wants, or nobody wants the rest of. Who still sends has not
 * read yet; a connection that is closed under him takes the answer along. So after the answer our
 * side alone is closed, and what comes is read and dropped for a while (RFC 9112 9.6).
 */

import type { IncomingMessage, ServerResponse } from 'node:http';

/** How long the rest of such a body is read and dropped. */
const LINGER_MS = 5000;

/** Whether a body was announced; what else follows is no part of the request. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
}

/**
 * Lets the answer to `request` be read, however the connection goes on. Called before anything is
 * answered: whether the body was read to its end is asked when the answer is out.
 */
export function linger(request: IncomingMessage, response: ServerResponse): void {
  if (!hasBody(request)) return;
  const { socket } = request;
  // With it Node ends a connection that carries no further request, when the answer is out.
  socket.destroySoon = () => {
    Reflect.deleteProperty(socket, 'destroySoon');
    if (request.complete) return socket.destroySoon();
    socket.end();
    request.once('end', () => socket.destroySoon());
  };
  // Its own listener came first, and has closed what it closes.
  response.once('finish', () => {
    Reflect.deleteProperty(socket, 'destroySoon');
    dropRest(request);
  });
}

/** Reads what is left, and ends the connection if that does not end by itself. */
function dropRest(request: IncomingMessage): void {
  if (request.complete) return;
  request.resume();
  const timer = setTimeout(() => request.destroy(), LINGER_MS);
  timer.unref();
  request.once('close', () => clearTimeout(timer));
}
