/** Requests to a repository, over the one HTTP client of this program. */

import { Agent, type Dispatcher, request } from 'undici';
import { concatBytes } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { PUBLISHER_LIMITS, TRANSPORT_LIMITS } from '../../shared/limits.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'PATCH' | 'POST';
  /** Path and query, after the address. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpReply {
  readonly status: number;
  header(name: string): string | undefined;
  /** The whole body; `E_TOO_LARGE` when it has more bytes than `cap`. */
  bytes(cap: number): Promise<Uint8Array>;
  /** Drops the body. */
  drop(): Promise<void>;
}

/** Where a repository answers. Close it, or the process waits for its connections. */
export class Repository {
  /** Without a slash at its end. */
  readonly origin: string;
  /** Host and port as HTTP names them (RFC 9110 7.2). */
  readonly authority: string;
  readonly #agent: Agent;

  /** `E_USAGE` on an address that is none. */
  constructor(address: string) {
    const url = parseAddress(address);
    this.origin = url.origin;
    this.authority = url.host;
    this.#agent = new Agent({
      connect: { timeout: TRANSPORT_LIMITS.connectSeconds * 1000 },
      headersTimeout: PUBLISHER_LIMITS.responseSeconds * 1000,
      bodyTimeout: TRANSPORT_LIMITS.idleSeconds * 1000,
      connections: 4,
    });
  }

  /** Sends; answers of any status come back. `E_NETWORK`, `E_SLOW`; the signal's reason. */
  async send(http: HttpRequest): Promise<HttpReply> {
    const { method, path, headers = {}, body, signal } = http;
    let response: Dispatcher.ResponseData;
    try {
      response = await request(`${this.origin}${path}`, {
        method,
        headers,
        // It takes any async iterable (and asks for a piece when the last one has gone out); its
        // types only speak of streams, which would read ahead.
        body: (body ?? null) as Uint8Array | null,
        dispatcher: this.#agent,
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      throw this.#failure(error, signal);
    }
    return this.#reply(response, signal);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  #reply({ statusCode, headers, body }: Dispatcher.ResponseData, signal?: AbortSignal): HttpReply {
    const failure = (error: unknown): unknown => this.#failure(error, signal);
    return {
      status: statusCode,
      header: (name) => {
        const value = headers[name];
        return Array.isArray(value) ? value.join(', ') : value;
      },
      async bytes(cap) {
        const began = performance.now();
        const parts: Uint8Array[] = [];
        let length = 0;
        try {
          // Leaving the loop by a throw destroys the body: no more of it is read.
          for await (const part of body as AsyncIterable<Uint8Array>) {
            length += part.length;
            if (length > cap)
              throw new IronError('E_TOO_LARGE', `the answer has more than ${cap} bytes`);
            refuseDripping(length, (performance.now() - began) / 1000);
            parts.push(part);
          }
        } catch (error) {
          throw failure(error);
        }
        return concatBytes(...parts);
      },
      async drop() {
        // Of a body that nobody wants, a second is enough to keep the connection for the next request.
        await body.dump({ limit: DROPPED, signal: AbortSignal.timeout(1000) }).catch(() => {});
      },
    };
  }

  #failure(error: unknown, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted === true || error instanceof IronError) return error;
    const isSlow = error instanceof Error && 'code' in error && SLOW.has(String(error.code));
    return new IronError(
      isSlow ? 'E_SLOW' : 'E_NETWORK',
      `${this.origin} ${isSlow ? 'did not answer in time' : 'could not be reached, or broke off'}`,
      {
        why: reasonOf(error),
        hint: 'run the command again: what was uploaded is kept, and goes on where it broke off',
        cause: error,
      },
    );
  }
}

/** Bytes of a body without use that are read and dropped; more of it ends the connection. */
const DROPPED = 65_536;

/** TUF 1.5.2, slow retrieval: an answer that never ends must not hold us for ever. */
function refuseDripping(length: number, seconds: number): void {
  const { slowWindowSeconds, minimumBytesPerSecond } = TRANSPORT_LIMITS;
  if (seconds > slowWindowSeconds && length < seconds * minimumBytesPerSecond)
    throw new IronError('E_SLOW', `${length} bytes came in ${Math.round(seconds)} seconds`);
}

const SLOW: ReadonlySet<string> = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
]);

/** `ECONNREFUSED 127.0.0.1:8080`: several addresses were tried, and the last one says enough. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0)
    return reasonOf(error.errors.at(-1));
  return error instanceof Error ? error.message : String(error);
}

/** `http://HOST:PORT`, `https://HOST`, or `HOST:PORT` for plain HTTP. */
function parseAddress(address: string): URL {
  const bad = (why: string, cause?: unknown): IronError =>
    new IronError('E_USAGE', `not the address of a repository: ${JSON.stringify(address)}`, {
      why,
      hint: 'write http://HOST:PORT or https://HOST; what is fetched is verified either way',
      cause,
    });
  let url: URL;
  try {
    url = new URL(address.includes('://') ? address : `http://${address}`);
  } catch (cause) {
    throw bad('it is no URL', cause);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw bad('it is neither http nor https');
  if (url.username !== '' || url.password !== '') throw bad('it has a user or a password in it');
  if (!['', '/'].includes(url.pathname) || url.search !== '' || url.hash !== '')
    throw bad('it has a path');
  return url;
}
