/** The upload API: every request signed with an API key of the vendor (RFC 9421). */

import { signRequest } from '../../shared/api/http-signature.ts';
import { errorFromBody, errorReply, parseBody } from '../../shared/api/upload.ts';
import { toBase64 } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { IronError } from '../../shared/errors.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import type { Random } from '../../shared/node/random.ts';
import type { Clock } from '../../shared/time.ts';
import type { HttpReply, Repository } from './http.ts';

export interface ApiOptions {
  readonly repository: Repository;
  /** An API key that the signed targets list for this vendor. */
  readonly signer: Signer;
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal?: AbortSignal | undefined;
}

export interface ApiRequest {
  readonly method: 'GET' | 'HEAD' | 'PATCH' | 'POST';
  /** After `/api/v1/`. */
  readonly path: string;
  /** With its `?`. */
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A body whose digest is signed (POST). */
  readonly body?: Uint8Array;
  /** A body that is sent as it is read; its headers say what of it is signed (PATCH). */
  readonly stream?: AsyncIterable<Uint8Array>;
}

export class Api {
  readonly #options: ApiOptions;

  constructor(options: ApiOptions) {
    this.#options = options;
  }

  get signal(): AbortSignal | undefined {
    return this.#options.signal;
  }

  /** The chance that waits are drawn from. */
  get random(): Random {
    return this.#options.random;
  }

  /** Signs and sends. Answers of any status come back; `failure` makes an error of one. */
  async send(api: ApiRequest): Promise<HttpReply> {
    const { repository, signer, crypto, clock, random, signal } = this.#options;
    const { method, query = '', headers = {}, body, stream } = api;
    const path = `/api/v1/${api.path}`;
    const head = { method, authority: repository.authority, path, query, headers };
    const nonce = toBase64(random(24));
    const signed = await signRequest(crypto, head, { signer, created: clock(), nonce }, body);
    const content = body ?? stream;
    return await repository.send({
      method,
      path: `${path}${query}`,
      headers: { ...headers, ...signed },
      signal,
      ...(content === undefined ? {} : { body: content }),
    });
  }

  /** The service's own words for a refusal; `E_NETWORK` when what answered is no such service. */
  async failure(reply: HttpReply): Promise<IronError> {
    const bytes = await reply.bytes(SERVER_LIMITS.body).catch(() => new Uint8Array());
    try {
      return errorFromBody(parseBody(errorReply, bytes).error);
    } catch (cause) {
      return new IronError(
        'E_NETWORK',
        `the repository answered ${reply.status} and did not say why`,
        {
          hint: 'nothing was published; check the address, and what stands between',
          cause,
          context: { status: reply.status },
        },
      );
    }
  }
}
