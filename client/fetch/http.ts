/** A repository behind HTTP: any server that serves the tree as static files. */

import { concatBytes } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { toUrlPath, tree } from '../../shared/layout.ts';
import { TRANSPORT_LIMITS } from '../../shared/limits.ts';
import { cappedPieces, tooLong } from './capped.ts';
import type { Connections } from './connections.ts';
import { type Answer, type ExchangeOptions, get, type Pace } from './exchange.ts';
import { asFetchError, isWorthRetrying, unexpectedStatus } from './failures.ts';
import type { Fetcher, FetchOptions, OpenedFile, ResumeFrom } from './fetcher.ts';
import { type Env, openConnections } from './open-connections.ts';
import type { RateLimit } from './rate.ts';

export interface HttpOptions {
  /** Base of the metadata files, with or without `/` at its end. */
  readonly metadata: string;
  /** Base of the targets. */
  readonly targets: string;
  readonly env?: Env | undefined;
  /** Randomness for the jitter of retries, in [0, 1). */
  readonly random: () => number;
  /** How often a request that failed is sent again; the usual number when absent. */
  readonly retries?: number | undefined;
  readonly pace?: Pace | undefined;
  /** Bytes from which on a file is fetched as a large one; the usual number when absent. */
  readonly bulk?: number | undefined;
  /** Shared with whoever else is to stay under it. */
  readonly rate?: RateLimit | undefined;
  /** Waits; tests pass one that does not. */
  readonly sleep?: ((seconds: number, signal?: AbortSignal) => Promise<void>) | undefined;
}

interface Place {
  readonly origin: string;
  readonly path: string;
  readonly url: string;
}

export class HttpFetcher implements Fetcher {
  readonly origin: string;
  readonly #options: HttpOptions;
  readonly #metadata: Place;
  readonly #targets: Place;
  /** For small files and for large ones: opened by the first request, and shared by all of a kind. */
  readonly #connections: { small?: Promise<Connections>; large?: Promise<Connections> } = {};

  constructor(options: HttpOptions) {
    this.#options = options;
    this.#metadata = parseBase(options.metadata);
    this.#targets = parseBase(options.targets);
    this.origin = this.#metadata.url;
  }

  async fetchFile(
    path: string,
    maxLength: number,
    options: FetchOptions = {},
  ): Promise<Uint8Array | undefined> {
    return this.#retrying(path, options, async (place) => {
      const answer = await this.#get(place, { signal: options.signal });
      if (isAbsent(answer)) return undefined;
      if (answer.status !== 200) throw refuse(answer, place.url);
      const tooLarge = (): IronError =>
        new IronError('E_TOO_LARGE', `${place.url} has more than ${maxLength} bytes`, {
          why: 'a server that never stops sending would fill this machine (TUF 1.5.2, endless data)',
          hint: 'nothing was changed; try another mirror, and report this one',
          context: { url: place.url, limit: maxLength },
        });
      if (contentLength(answer) > maxLength) {
        answer.body.abort(tooLarge());
        throw tooLarge();
      }
      const parts: Uint8Array[] = [];
      for await (const piece of cappedPieces(
        this.#paced(answer, options),
        maxLength,
        tooLarge,
        options,
      )) {
        parts.push(piece);
      }
      return concatBytes(...parts);
    });
  }

  async openFile(
    path: string,
    length: number,
    resume?: ResumeFrom,
    options: FetchOptions = {},
  ): Promise<OpenedFile> {
    const opened = await this.#retrying(path, options, async (place) => {
      const answer = await this.#get(place, rangeRequest(resume, options.signal), length);
      if (isAbsent(answer)) {
        throw new IronError('E_NOT_FOUND', `${place.url} does not exist`, {
          why: 'a file that signed metadata names is not there: the mirror is incomplete',
          hint: 'nothing was changed; try again or another mirror',
        });
      }
      const start = startOf(answer, resume, place.url);
      if (start + contentLength(answer) > length) {
        answer.body.abort(tooLong(place.url, length));
        throw tooLong(place.url, length);
      }
      return { start, validator: strongValidator(answer), answer, url: place.url };
    });
    const { start, validator, url } = opened;
    const pieces = cappedPieces(
      this.#continued(path, opened.answer, { start, validator, length }, options),
      length - start,
      () => tooLong(url, length),
      options,
    );
    return { start, validator, pieces };
  }

  /** Closes idle connections; those in use end with their requests. */
  async close(): Promise<void> {
    const { small, large } = this.#connections;
    await (await small)?.close();
    await (await large)?.close();
  }

  /** The body, no faster than the rate allows. */
  #paced({ body }: Pick<Answer, 'body'>, { signal }: FetchOptions): AsyncIterable<Uint8Array> {
    return this.#options.rate?.pace(body, signal) ?? body;
  }

  /** The body, taken up where it broke off as long as the file is still the same. */
  async *#continued(
    path: string,
    first: Answer,
    { start, validator, length }: Pick<OpenedFile, 'start' | 'validator'> & { length: number },
    options: FetchOptions,
  ): AsyncGenerator<Uint8Array, void> {
    let { body } = first;
    let at = start;
    for (let tries = 0; ; ) {
      const before = at;
      try {
        for await (const piece of this.#paced({ body }, options)) {
          at += piece.length;
          yield piece;
        }
        return;
      } catch (thrown) {
        options.signal?.throwIfAborted();
        const error = asFetchError(thrown, this.#place(path).url);
        if (validator === undefined || !isWorthRetrying(error)) throw error;
        // Whoever got on in the meantime starts counting anew.
        tries = at > before ? 1 : tries + 1;
        if (tries > this.#retries) throw error;
        await this.#wait(tries, error, options.signal);
        const again = await this.#retrying(path, options, async (place) => {
          const resume = { offset: at, validator };
          const answer = await this.#get(place, rangeRequest(resume, options.signal), length);
          if (startOf(answer, resume, place.url) === at) return answer;
          answer.body.abort(error);
          throw error;
        });
        body = again.body;
      }
    }
  }

  async #retrying<T>(
    path: string,
    options: FetchOptions,
    act: (place: Place) => Promise<T>,
  ): Promise<T> {
    const place = this.#place(path);
    for (let tries = 1; ; tries++) {
      try {
        return await act(place);
      } catch (thrown) {
        options.signal?.throwIfAborted();
        const error = asFetchError(thrown, place.url);
        if (tries > this.#retries || !isWorthRetrying(error)) throw error;
        await this.#wait(tries, error, options.signal);
      }
    }
  }

  get #retries(): number {
    return this.#options.retries ?? TRANSPORT_LIMITS.retries;
  }

  /** Full jitter: the clients of a server that fell over do not come back all at once. */
  async #wait(tries: number, error: IronError, signal: AbortSignal | undefined): Promise<void> {
    const { random, sleep = defaultSleep } = this.#options;
    const { retryAfter } = error.context;
    const asked = typeof retryAfter === 'number' ? Math.min(retryAfter, 10) : 0;
    await sleep(asked + random() * TRANSPORT_LIMITS.retrySeconds * 2 ** tries, signal);
  }

  /** Follows a few redirects; each is only another place for bytes that are verified anyway. */
  async #get(place: Place, options: ExchangeOptions, length = 0): Promise<Answer> {
    const { env = {}, pace, rate, bulk = TRANSPORT_LIMITS.bulk } = this.#options;
    const kind = length >= bulk ? 'large' : 'small';
    this.#connections[kind] ??= openConnections(env, pace, kind === 'large');
    const connections = await this.#connections[kind];
    let at: Place = place;
    for (let hops = 0; ; hops++) {
      const answer = await get(connections, at, { ...options, pace, buffer: rate?.buffer });
      const location = answer.header('location');
      if (![301, 302, 303, 307, 308].includes(answer.status) || location === undefined) {
        return answer;
      }
      answer.body.abort(new IronError('E_CANCELLED', 'redirected'));
      const next = URL.parse(location, at.url);
      // A redirect from HTTPS to HTTP would show strangers what this host is after.
      const isDowngrade = at.url.startsWith('https:') && next?.protocol !== 'https:';
      const isHttp = next?.protocol === 'http:' || next?.protocol === 'https:';
      if (next === null || !isHttp || isDowngrade || hops === TRANSPORT_LIMITS.redirects) {
        throw new IronError('E_NETWORK', `${at.url} redirects where it is not followed`, {
          hint: 'nothing was changed; use the address that it leads to, if you trust it',
          context: { url: at.url, status: answer.status },
        });
      }
      at = { origin: next.origin, path: next.pathname + next.search, url: next.href };
    }
  }

  #place(path: string): Place {
    const [base, rest] = path.startsWith(`${tree.targetsFolder}/`)
      ? [this.#targets, toUrlPath(path.slice(tree.targetsFolder.length + 1))]
      : // Role names are encoded already when they become file names.
        [this.#metadata, path.slice(tree.metadataFolder.length + 1)];
    return { origin: base.origin, path: base.path + rest, url: base.url + rest };
  }
}

function parseBase(text: string): Place {
  const url = URL.parse(text.endsWith('/') ? text : `${text}/`);
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new IronError('E_USAGE', `not the address of a repository: ${JSON.stringify(text)}`, {
      hint: 'write HOST:PORT, http://… or https://…, without ? and #',
    });
  }
  if (url.username !== '' || url.password !== '') {
    throw new IronError('E_USAGE', 'an address cannot carry a password', {
      hint: 'addresses end up in messages and in the names of folders',
    });
  }
  return { origin: url.origin, path: url.pathname, url: url.href };
}

/**
 * 404 and 410, and 403 too: object stores answer so for what is not there when listing is not
 * allowed, and the other clients of the field read it so. A mirror gains nothing by it that it
 * could not have with a 404.
 */
function isAbsent(answer: Answer): boolean {
  const absent = answer.status === 404 || answer.status === 403 || answer.status === 410;
  if (absent) discard(answer);
  return absent;
}

function refuse(answer: Answer, url: string): IronError {
  discard(answer);
  return unexpectedStatus(url, answer.status, answer.header('retry-after'));
}

/** Reads a short body away so that the connection can be used again, and drops a long one. */
function discard({ body, header }: Answer): void {
  const length = Number(header('content-length') ?? Number.POSITIVE_INFINITY);
  if (length > 65_536) {
    body.abort(new IronError('E_CANCELLED', 'not wanted'));
    return;
  }
  void (async () => {
    for await (const _ of body);
  })().catch(() => {});
}

function contentLength(answer: Answer): number {
  const text = answer.header('content-length') ?? '';
  // Absent or odd: the bytes themselves are counted.
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

function strongValidator(answer: Answer): string | undefined {
  const etag = answer.header('etag');
  // RFC 9110 13.1.5: If-Range takes strong validators only.
  return etag !== undefined && /^"[\x21\x23-\x7e]{1,200}"$/.test(etag) ? etag : undefined;
}

function rangeRequest(
  resume: ResumeFrom | undefined,
  signal: AbortSignal | undefined,
): ExchangeOptions {
  if (resume === undefined || resume.offset === 0) return { signal };
  return { signal, headers: { range: `bytes=${resume.offset}-`, 'if-range': resume.validator } };
}

/** Where the body begins: at the offset asked for (206), or at the start of the file (200). */
function startOf(answer: Answer, resume: ResumeFrom | undefined, url: string): number {
  const coding = answer.header('content-encoding');
  if (coding !== undefined && coding !== 'identity') throw refuse(answer, url);
  if (answer.status === 200) return 0;
  const range = /^bytes (\d{1,15})-/.exec(answer.header('content-range') ?? '');
  // RFC 9110 14.4: what a 206 holds is what it says, which must be what was asked for.
  if (answer.status !== 206 || resume === undefined || Number(range?.[1]) !== resume.offset) {
    throw refuse(answer, url);
  }
  return resume.offset;
}

async function defaultSleep(seconds: number, signal?: AbortSignal): Promise<void> {
  const { setTimeout } = await import('node:timers/promises');
  await setTimeout(seconds * 1000, undefined, signal === undefined ? {} : { signal });
}
