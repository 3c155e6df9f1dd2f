/** Files of any repository over HTTP, with the header fields that came with them. */

import { Agent, type Dispatcher, request } from 'undici';
import { concatBytes } from '../../../shared/bytes.ts';
import { IronError } from '../../../shared/errors.ts';
import { TRANSPORT_LIMITS } from '../../../shared/limits.ts';

export interface Got {
  readonly status: number;
  header(name: string): string | undefined;
  /** Empty for HEAD. */
  readonly bytes: Uint8Array;
}

/** Asks for a path below the repository's address. `E_TOO_LARGE` over `cap`, `E_SLOW`, `E_NETWORK`. */
export type Get = (path: string, cap: number, method?: 'GET' | 'HEAD') => Promise<Got>;

/** A file as it comes, however long it is. */
export interface Stream {
  readonly status: number;
  readonly pieces: AsyncIterable<Uint8Array>;
  /** Leaves the rest of it unread. */
  drop(): void;
}

export interface Opened {
  readonly get: Get;
  /** `E_NETWORK`, also while it is read. */
  readonly open: (path: string) => Promise<Stream>;
  close(): Promise<void>;
}

export interface Pace {
  readonly windowSeconds: number;
  readonly minimumBytesPerSecond: number;
}

const PACE: Pace = {
  windowSeconds: TRANSPORT_LIMITS.slowWindowSeconds,
  minimumBytesPerSecond: TRANSPORT_LIMITS.minimumBytesPerSecond,
};

/** `address` with or without a slash at its end. `E_USAGE` when it is none of HTTP. */
export function openHttp(address: string, signal: AbortSignal, pace: Pace = PACE): Opened {
  const base = baseOf(address);
  const agent = new Agent({
    connect: { timeout: TRANSPORT_LIMITS.connectSeconds * 1000 },
    headersTimeout: TRANSPORT_LIMITS.idleSeconds * 1000,
    bodyTimeout: TRANSPORT_LIMITS.idleSeconds * 1000,
    connections: 4,
  });
  const ask = (path: string, method: 'GET' | 'HEAD'): Promise<Dispatcher.ResponseData> =>
    // A path of theirs may begin with a slash: it stays below the address, and leads to no other host.
    request(new URL(`./${path}`, base), {
      method,
      dispatcher: agent,
      signal,
      // A browser of an auditor, on a page of another origin, asks so (Fetch, CORS protocol).
      headers: { origin: 'https://auditor.example', 'accept-encoding': 'identity' },
    });
  const failed = (path: string, cause: unknown): unknown => {
    if (cause instanceof IronError) return cause;
    if (signal.aborted) return signal.reason;
    return new IronError('E_NETWORK', `${path} could not be fetched`, {
      why: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  };
  async function* piecesOf(path: string, body: AsyncIterable<Uint8Array>) {
    try {
      yield* fastEnough(body, path, pace);
    } catch (cause) {
      throw failed(path, cause);
    }
  }
  const open = async (path: string): Promise<Stream> => {
    try {
      const { statusCode: status, body } = await ask(path, 'GET');
      // Who drops it has a reason of its own; that the rest did not come is none.
      const drop = (): void => {
        body.on('error', () => {});
        body.destroy();
      };
      return { status, pieces: piecesOf(path, body), drop };
    } catch (cause) {
      throw failed(path, cause);
    }
  };
  const get: Get = async (path, cap, method = 'GET') => {
    try {
      const response = await ask(path, method);
      const { statusCode: status, headers } = response;
      const bytes = await readCapped(fastEnough(response.body, path, pace), cap, path);
      return { status, bytes, header: (name) => oneOf(headers[name]) };
    } catch (cause) {
      throw failed(path, cause);
    }
  };
  return { get, open, close: () => agent.destroy() };
}

/** Each silence has an end of its own; a byte at the end of each would hold a look up for years (TUF 1.5.2). */
async function* fastEnough(
  body: AsyncIterable<Uint8Array>,
  path: string,
  { windowSeconds, minimumBytesPerSecond }: Pace,
): AsyncGenerator<Uint8Array> {
  const began = performance.now();
  let came = 0;
  for await (const part of body) {
    came += part.length;
    const seconds = (performance.now() - began) / 1000;
    if (seconds > windowSeconds && came < seconds * minimumBytesPerSecond)
      throw new IronError('E_SLOW', `${path} comes too slowly`, {
        why: `${came} bytes in ${Math.round(seconds)} seconds`,
        hint: 'try again later, or from a mirror',
        context: { path },
      });
    yield part;
  }
}

async function readCapped(
  body: AsyncIterable<Uint8Array>,
  cap: number,
  path: string,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of body) {
    length += part.length;
    // Leaving the loop ends the connection.
    if (length > cap)
      throw new IronError('E_TOO_LARGE', `${path} has more than ${cap} bytes`, {
        context: { path, limit: cap },
      });
    parts.push(part);
  }
  return concatBytes(...parts);
}

function baseOf(address: string): URL {
  try {
    const url = new URL(address.endsWith('/') ? address : `${address}/`);
    if (url.protocol === 'http:' || url.protocol === 'https:') return url;
  } catch {
    // The same refusal.
  }
  throw new IronError('E_USAGE', `not an address of a repository: ${address.slice(0, 80)}`, {
    hint: 'give the address below which metadata/ and targets/ lie: https://HOST/PATH',
  });
}

function oneOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}
