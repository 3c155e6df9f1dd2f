/**
 * The connections of a host that needs no proxy, by Node's own HTTP client. It is compiled into Node
 * already: a refresh over it takes two thirds of the processor time that it takes over undici, which
 * brings a parser of its own (docs/adr/0039).
 */

import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import process from 'node:process';
import { urlToHttpOptions } from 'node:url';
import type { Dispatcher } from 'undici';
import type { Connections, Request } from './connections.ts';

export interface Patience {
  /** Milliseconds until a connection stands, TLS included. */
  readonly connect: number;
  /** Milliseconds from the request to the end of the answer's head, and between two pieces of its body. */
  readonly idle: number;
}

/** Bytes of an answer's head, as undici bounds it. */
const HEAD_LIMIT = 16_384;

interface Way {
  readonly agent: Agent;
  readonly send: (options: RequestOptions) => ClientRequest;
}

export class DirectConnections implements Connections {
  readonly #patience: Patience;
  /** By scheme; the one for HTTPS is loaded when it is needed. */
  readonly #ways = new Map<string, Way>();

  constructor(patience: Patience) {
    this.#patience = patience;
  }

  dispatch(request: Request, handler: Dispatcher.DispatchHandler): void {
    const exchange = new Exchange(handler);
    // Whoever stopped already is heard here.
    handler.onRequestStart?.(exchange, {});
    if (exchange.aborted) return;
    const { path, method, headers } = request;
    const { protocol, hostname, port } = urlToHttpOptions(new URL(request.origin));
    const { agent, send } = this.#way(protocol ?? '');
    const start = (): void => {
      const options = { protocol, hostname, port, path, method, headers };
      const sent = send({ ...options, agent, maxHeaderSize: HEAD_LIMIT });
      exchange.follow(sent, this.#patience, start);
    };
    start();
  }

  async close(): Promise<void> {
    for (const way of this.#ways.values()) {
      // Not `destroy`, which would break off what is in use.
      for (const socket of Object.values(way.agent.freeSockets).flat()) socket?.destroy();
    }
  }

  #way(protocol: string): Way {
    const made = this.#ways.get(protocol) ?? openWay(protocol);
    this.#ways.set(protocol, made);
    return made;
  }
}

function openWay(protocol: string): Way {
  // Not `import`, which looks at every export, and one of these loads all of Node's own undici.
  const { Agent, request } =
    protocol === 'https:'
      ? process.getBuiltinModule('node:https')
      : process.getBuiltinModule('node:http');
  // An idle connection keeps no process alive: Node unrefs it.
  return { agent: new Agent({ keepAlive: true }), send: request };
}

/** One request on its way, and the handle by which its handler holds it back or ends it. */
class Exchange implements Dispatcher.DispatchController {
  aborted = false;
  paused = false;
  reason: Error | null = null;
  readonly rawHeaders = null;
  readonly #handler: Dispatcher.DispatchHandler;
  #request: ClientRequest | undefined;
  #response: IncomingMessage | undefined;
  /** Ends the exchange when nothing comes for a while. */
  #quiet: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(handler: Dispatcher.DispatchHandler) {
    this.#handler = handler;
  }

  pause(): void {
    this.paused = true;
    this.#response?.pause();
  }

  resume(): void {
    this.paused = false;
    // What we held back begins to be late only now.
    this.#quiet?.refresh();
    this.#response?.resume();
  }

  abort(reason: Error): void {
    this.aborted = true;
    this.reason = reason;
    this.#fail(reason);
    this.#request?.destroy();
  }

  follow(request: ClientRequest, patience: Patience, again: () => void): void {
    this.#request = request;
    const connecting = setTimeout(() => {
      request.destroy(slow('UND_ERR_CONNECT_TIMEOUT', 'the connection did not stand in time'));
    }, patience.connect);
    let head: NodeJS.Timeout | undefined;
    const connected = (): void => {
      clearTimeout(connecting);
      head ??= setTimeout(() => {
        request.destroy(slow('UND_ERR_HEADERS_TIMEOUT', 'the head of the answer did not come'));
      }, patience.idle);
    };
    const settle = (): void => {
      clearTimeout(connecting);
      clearTimeout(head);
    };
    request.on('socket', (socket) => {
      const isTls = 'encrypted' in socket;
      if (socket.connecting) socket.once(isTls ? 'secureConnect' : 'connect', connected);
      else connected();
    });
    let isRepeated = false;
    request.on('error', (error) => {
      settle();
      // The other side closed an idle connection just when it was used again: nothing was answered,
      // and a GET may be sent twice (RFC 9110 9.2.2).
      const isStale = request.reusedSocket && this.#response === undefined && isClosed(error);
      isRepeated = isStale && !this.#isOver;
      if (isRepeated) again();
      else this.#fail(error);
    });
    // An answer that switches protocols, or none at all.
    request.on('close', () => {
      settle();
      if (this.#response === undefined && !isRepeated) this.#fail(cutShort());
    });
    request.on('response', (response) => {
      settle();
      this.#receive(response, patience.idle);
    });
    request.end();
  }

  #receive(response: IncomingMessage, idle: number): void {
    this.#response = response;
    this.#quiet = setInterval(() => {
      // Whom we hold back ourselves is not slow.
      if (!this.paused) {
        this.#request?.destroy(slow('UND_ERR_BODY_TIMEOUT', 'the answer stopped in its middle'));
      }
    }, idle);
    response.on('data', (piece: Uint8Array) => {
      this.#quiet?.refresh();
      this.#handler.onResponseData?.(
        this,
        Buffer.from(piece.buffer, piece.byteOffset, piece.length),
      );
    });
    response.on('error', (error) => this.#fail(error));
    response.on('close', () => {
      clearInterval(this.#quiet);
      if (!response.complete) this.#fail(cutShort());
    });
    response.on('end', () => {
      if (!response.complete || this.#isOver) return;
      this.#isOver = true;
      this.#handler.onResponseEnd?.(this, {});
    });
    const { statusCode = 0, headers, statusMessage = '' } = response;
    this.#handler.onResponseStart?.(this, statusCode, headers, statusMessage);
    if (this.paused) response.pause();
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#handler.onResponseError?.(this, error);
  }
}

/** Coded as undici codes it, so that both are read in one place. */
function slow(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

function cutShort(): Error {
  return slow('UND_ERR_SOCKET', 'the other side closed the connection');
}

function isClosed(error: Error): boolean {
  return 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}
