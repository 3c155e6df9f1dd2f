/** The published metadata over HTTP, for the vendor's own client. */

import { IronError } from '../../shared/errors.ts';
import type { Fetcher } from '../rebase/base.ts';
import type { HttpReply, Repository } from './http.ts';

export class RepositoryFetcher implements Fetcher {
  readonly #repository: Repository;

  constructor(repository: Repository) {
    this.#repository = repository;
  }

  get origin(): string {
    return this.#repository.origin;
  }

  async fetchFile(
    path: string,
    maxLength: number,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Uint8Array | undefined> {
    const { signal } = options;
    const reply = await this.#repository.send({ method: 'GET', path: `/${path}`, signal });
    if (reply.status === 200) return await reply.bytes(maxLength);
    await reply.drop();
    // Only a plain "there is none" is that; anything else is a failure of the mirror.
    if (reply.status === 404) return undefined;
    throw unexpected(path, reply);
  }
}

function unexpected(path: string, { status }: HttpReply): IronError {
  return new IronError('E_NETWORK', `the repository answered ${status} for ${path}`, {
    hint: 'nothing was sent; try again later',
    context: { status },
  });
}
