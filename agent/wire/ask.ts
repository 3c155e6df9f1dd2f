/** Asking over such a socket: one connection, one request, one answer. */

import { createConnection } from 'node:net';
import { IronError } from '../../shared/errors.ts';
import { WIRE_LIMITS } from '../../shared/limits.ts';
import { FrameReader, frameOf } from './frame.ts';

export interface AskOptions {
  readonly signal?: AbortSignal | undefined;
}

/** The answer as it came. `E_NETWORK`, `E_SLOW`, `E_TOO_LARGE`, `E_SCHEMA`, and why it was stopped. */
export function exchange(
  path: string,
  message: Uint8Array,
  { signal }: AskOptions = {},
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const reader = new FrameReader(WIRE_LIMITS.answer);
    const socket = createConnection(path);
    const stop = (): void => fail(signal?.reason);
    const settle = (): void => {
      signal?.removeEventListener('abort', stop);
      clearTimeout(timer);
      socket.destroy();
    };
    const fail = (error: unknown): void => {
      settle();
      reject(error);
    };
    const timer = setTimeout(
      () => fail(new IronError('E_SLOW', `${path} did not answer`, { hint: STATUS })),
      1000 * WIRE_LIMITS.answerSeconds,
    );
    const broken = (cause?: Error): void =>
      fail(
        new IronError('E_NETWORK', `${path} gave no answer`, {
          why:
            cause?.message ?? 'it closed the connection: it does not know us, or has enough to do',
          hint: STATUS,
          ...(cause === undefined ? {} : { cause }),
          context: { path },
        }),
      );
    if (signal?.aborted === true) return stop();
    signal?.addEventListener('abort', stop, { once: true });
    socket.once('connect', () => socket.write(frameOf(message)));
    socket.on('data', (piece) => {
      try {
        const answer = reader.push(piece);
        if (answer === undefined) return;
        settle();
        resolve(answer);
      } catch (error) {
        fail(error);
      }
    });
    socket.once('error', broken);
    socket.once('close', () => broken());
  });
}

const STATUS = 'whether anything was changed, `ironport-agent status` on the host shows';
