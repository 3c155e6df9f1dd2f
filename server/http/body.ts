/** Bodies of requests, as far as they are wanted. */

import type { IncomingMessage } from 'node:http';
import { concatBytes } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { SCANNER_LIMITS, SERVER_LIMITS, TRANSPORT_LIMITS } from '../../shared/limits.ts';
import { paced } from './pace.ts';

/** The pieces of a body. Whoever stops early leaves the connection as it is, for the answer. */
export function bodyOf(request: IncomingMessage): AsyncIterable<Uint8Array> {
  return paced(request.iterator({ destroyOnReturn: false }));
}

/** Lets a request stay whose body is here, for as long as the operators' scanner may look at it. */
export function awaitScanner({ socket }: IncomingMessage): void {
  const { waitSeconds, mostSeconds } = SCANNER_LIMITS;
  socket.setTimeout((waitSeconds + mostSeconds + TRANSPORT_LIMITS.idleSeconds) * 1000);
}

/** Bytes of bodies that are held in memory at once, for those who share it. */
export class BodyRoom {
  readonly #limit: number;
  #held = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** `E_TRY_AGAIN` when there is no room for so many more. */
  take(bytes: number): void {
    if (this.#held + bytes > this.#limit) {
      throw new IronError('E_TRY_AGAIN', 'too many requests are being read at once', {
        hint: 'nothing was changed; send it again a little later',
      });
    }
    this.#held += bytes;
  }

  giveBack(bytes: number): void {
    this.#held -= bytes;
  }
}

/** Bodies that are kept to be used again: two of one vendor are under way at a time. */
const KEPT = 2;

/**
 * Memory that bodies of uploads share, one after the other: to be given new megabytes for each, and to
 * give them back, costs more than to hash and to write them.
 */
export class BodyBuffers {
  /** Those that no request uses. */
  readonly #free: Uint8Array[] = [];

  /** Runs `act` with a buffer that is its own until then; nothing of it may be kept. */
  async lend<T>(act: (buffer: Uint8Array) => Promise<T>): Promise<T> {
    // What it asks of the system is what is written into it.
    const buffer = this.#free.pop() ?? new Uint8Array(SERVER_LIMITS.body);
    try {
      return await act(buffer);
    } finally {
      if (this.#free.length < KEPT) this.#free.push(buffer);
    }
  }
}

/**
 * The whole of a small body, for whose bytes there must be `room` while they come. `E_TOO_LARGE`,
 * as soon as that is known; `E_TRY_AGAIN`.
 * @param buffer for at least `limit` bytes: the body is in it then
 */
export async function readBody(
  request: IncomingMessage,
  room: BodyRoom,
  limit: number = SERVER_LIMITS.body,
  buffer?: Uint8Array,
): Promise<Uint8Array> {
  const tooLarge = (): IronError =>
    new IronError('E_TOO_LARGE', `a body of more than ${limit} bytes`, { context: { limit } });
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge();
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const part of bodyOf(request)) {
      if (length + part.length > limit) throw tooLarge();
      room.take(part.length);
      if (buffer === undefined) parts.push(part);
      else buffer.set(part, length);
      length += part.length;
    }
    return buffer?.subarray(0, length) ?? concatBytes(...parts);
  } finally {
    room.giveBack(length);
  }
}
