/** One GET: its answer, and its body as it arrives, with a bound on how slowly that may be. */

import type { Dispatcher } from 'undici';
import { IronError } from '../../shared/errors.ts';
import { TRANSPORT_LIMITS } from '../../shared/limits.ts';
import type { Connections } from './connections.ts';

export interface Answer {
  readonly status: number;
  /** By lower-case name; of a header that came twice, the first. */
  readonly header: (name: string) => string | undefined;
  readonly body: Body;
}

/** How slow the other side may be; tests pass a shorter one than `TRANSPORT_LIMITS`. */
export interface Pace {
  readonly idleSeconds: number;
  readonly slowWindowSeconds: number;
  readonly minimumBytesPerSecond: number;
}

export interface ExchangeOptions {
  readonly pace?: Pace | undefined;
  /** What may lie unread before the other side is told to wait; the usual when absent. */
  readonly buffer?: number | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/** Sends a GET and resolves with the head of the answer. Rejects with what the connection ended with. */
export function get(
  connections: Connections,
  url: { readonly origin: string; readonly path: string },
  options: ExchangeOptions = {},
): Promise<Answer> {
  const { signal, headers = {}, pace = TRANSPORT_LIMITS, buffer } = options;
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    // Before the head a failure rejects; after it the body's reader hears of it.
    const body = new Body(signal, reject, buffer);
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart: (controller) => body.begin(controller),
      onResponseStart: (_controller, status, fields) => {
        // 1xx precede the answer.
        if (status < 200) return;
        body.watch(pace);
        const header = (name: string): string | undefined => {
          const value = fields[name];
          return Array.isArray(value) ? value[0] : value;
        };
        resolve({ status, header, body });
      },
      onResponseData: (_controller, piece) => body.push(piece),
      onResponseEnd: () => body.end(),
      onResponseError: (_controller, error) => body.fail(error),
    };
    connections.dispatch(
      {
        origin: url.origin,
        path: url.path,
        method: 'GET',
        // Bytes are hashed as they were published: no coding on the way.
        headers: { 'user-agent': 'ironport-client', 'accept-encoding': 'identity', ...headers },
      },
      handler,
    );
  });
}

/**
 * A body between the socket that pushes and the reader that pulls. What was not read yet is
 * bounded: above the bound the socket waits.
 */
export class Body implements AsyncIterable<Uint8Array> {
  /** What ended the body before its end, if anything did. */
  failure: unknown;
  readonly #signal: AbortSignal | undefined;
  readonly #onFailure: (reason: unknown) => void;
  readonly #buffer: number;
  #controller: Dispatcher.DispatchController | undefined;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #ended = false;
  #wake: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Bytes in the running window, and whether we ourselves held the other side back in it. */
  #inWindow = 0;
  #heldBack = false;

  constructor(
    signal: AbortSignal | undefined,
    onFailure: (reason: unknown) => void,
    buffer: number = TRANSPORT_LIMITS.buffer,
  ) {
    this.#buffer = buffer;
    this.#signal = signal;
    this.#onFailure = onFailure;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  begin(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // Stopped while the connection was being made.
    if (this.failure instanceof Error) controller.abort(this.failure);
  }

  /** From the head of the answer on: a window without enough bytes ends it (TUF 1.5.2, slow retrieval). */
  watch({ slowWindowSeconds, minimumBytesPerSecond }: Pace): void {
    this.#timer = setInterval(() => {
      const least = slowWindowSeconds * minimumBytesPerSecond;
      if (!this.#heldBack && this.#queued === 0 && this.#inWindow < least) {
        this.abort(
          new IronError('E_SLOW', `fewer than ${least} bytes came in ${slowWindowSeconds} s`, {
            why: 'a server that sends just enough to keep a client waiting keeps it from updates',
            hint: 'nothing was changed; try again or another mirror',
          }),
        );
      }
      this.#inWindow = 0;
      this.#heldBack = false;
    }, slowWindowSeconds * 1000);
    this.#timer.unref();
  }

  push(piece: Uint8Array): void {
    this.#inWindow += piece.length;
    this.#queue.push(piece);
    this.#queued += piece.length;
    if (this.#queued >= this.#buffer) {
      this.#heldBack = true;
      this.#controller?.pause();
    }
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#close();
  }

  fail(error: unknown): void {
    this.failure ??= error;
    this.end();
    this.#onFailure(this.failure);
  }

  /** Ends the exchange: its connection is closed unless everything has arrived. */
  abort(reason: Error): void {
    if (this.#ended) return;
    this.failure ??= reason;
    this.#controller?.abort(reason);
    this.fail(reason);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    try {
      for (;;) {
        const pieces = this.#queue;
        if (pieces.length > 0) {
          this.#queue = [];
          this.#queued = 0;
          if (this.#controller?.paused === true) this.#controller.resume();
          yield* pieces;
        } else if (this.failure !== undefined) {
          throw this.failure;
        } else if (this.#ended) {
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          this.#wake = undefined;
        }
      }
    } finally {
      // The reader left early: what is still on its way is not wanted.
      if (!this.#ended) this.abort(new IronError('E_CANCELLED', 'the reader stopped'));
    }
  }

  readonly #onAbort = (): void => {
    const reason: unknown = this.#signal?.reason;
    this.abort(reason instanceof Error ? reason : new IronError('E_CANCELLED', 'stopped'));
  };

  #close(): void {
    clearInterval(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#wake?.();
  }
}
