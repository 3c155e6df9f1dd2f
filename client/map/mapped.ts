/**
 * Several repositories as one, by a map file (TAP 4): each with a root and a store of its own, and
 * an artifact only when enough of them, each verified as if it were the only one, say the same.
 */

import { join } from 'node:path';
import { asIronError, IronError, isIronError } from '../../shared/errors.ts';
import { store as layout } from '../../shared/layout.ts';
import { type MapFile, type Mapping, parseRepositoryName } from '../../shared/tuf/map-file.ts';
import { keyIdentities } from '../../shared/tuf/role.ts';
import { type Agreement, agree, type Word } from '../../shared/verify/agreement.ts';
import type { DownloadOutcome } from '../download.ts';
import { openRepository } from '../open-repository.ts';
import type { GetOptions, Repository, RepositoryOptions, VerifyOptions } from '../repository.ts';
import { stateFolder } from '../store/locate.ts';
import type { VerifiedTarget } from '../verify-target.ts';

export interface MapOptions extends Omit<RepositoryOptions, 'address' | 'mirrors'> {
  readonly map: MapFile;
  /** A folder for all of them; each has its own below it, by name. */
  readonly store?: string | undefined;
}

/** Verified in each repository that agreed; what stands here is of the first of them. */
export interface AgreedTarget extends VerifiedTarget {
  readonly agreement: Agreement;
  /** Where the bytes can come from: every repository that agreed, in the order of the mapping. */
  readonly sources: readonly Source[];
}

/** Nothing that a policy refuses is ever a word for it. */
type Judged = Pick<VerifyOptions, 'policy'>;

interface Source {
  readonly repository: Repository;
  readonly verified: VerifiedTarget;
}

/** An answer, with what it rests on when it is a listing. */
interface Asked {
  readonly word: Word;
  readonly source: Source | undefined;
}

/** The folder of one repository. Its name is one plain segment, so it stays in the store. */
export function mappedFolder(base: string, name: string): string {
  return join(base, layout.mapped(parseRepositoryName(name)));
}

export class MappedRepositories {
  readonly map: MapFile;
  /** By name. */
  readonly #repositories: ReadonlyMap<string, Repository>;

  constructor(map: MapFile, repositories: ReadonlyMap<string, Repository>) {
    this.map = map;
    this.#repositories = repositories;
  }

  /** Pins the root of one repository, once. `E_PIN_EXISTS` when another one is pinned. */
  pin(name: string, root: Uint8Array): Promise<'written' | 'same'> {
    return this.#of(name).pin(root);
  }

  /**
   * Verifies an artifact in every repository of the mapping that is for its path, and demands that
   * enough of them agree: `E_NOT_AGREED`, `E_TARGET_UNKNOWN`, and what one of them denied it with.
   */
  async verify(path: string, options: Judged = {}): Promise<AgreedTarget> {
    const decision = agree(this.map, path);
    let asked: ReadonlyMap<string, Asked> = new Map();
    let step = decision.next();
    while (!step.done) {
      asked = await this.#askAll(step.value, path, options);
      step = decision.next(new Map([...asked].map(([name, { word }]) => [name, word])));
    }
    const agreement = step.value;
    const sources = agreement.agreed
      .map((name) => asked.get(name)?.source)
      .filter((source) => source !== undefined);
    const first = sources[0]?.verified;
    if (first === undefined) throw new IronError('E_INTERNAL', 'an agreement of nobody');
    const { agreed, mapping } = agreement;
    first.checks.push({
      rule: 'TAP 4',
      what: `${agreed.length} of ${mapping.repositories.length} repositories give it the same length and hashes: ${agreed.join(', ')}; the map asks for ${mapping.threshold}`,
    });
    return { ...first, agreement, sources };
  }

  /** Brings an artifact that was agreed on to `out`, from the first repository that has it. */
  async download<T extends AgreedTarget>(
    agreed: T,
    out: string,
    options: GetOptions = {},
  ): Promise<T & { readonly outcome: DownloadOutcome }> {
    let last: IronError | undefined;
    for (const { repository, verified } of agreed.sources) {
      try {
        const { outcome } = await repository.download(verified, out, options);
        return { ...agreed, outcome };
      } catch (error) {
        if (!isIronError(error, ...ELSEWHERE)) throw error;
        last = error;
      }
    }
    throw last ?? new IronError('E_INTERNAL', 'an agreement without a source');
  }

  /** Both of it: nothing unverified, and nothing that was not agreed on, ever stands at `out`. */
  async getVerified(
    path: string,
    out: string,
    options: GetOptions = {},
  ): Promise<AgreedTarget & { readonly outcome: DownloadOutcome }> {
    return this.download(await this.verify(path, { policy: options.policy }), out, options);
  }

  /** Ends idle connections. */
  async close(): Promise<void> {
    await Promise.all([...this.#repositories.values()].map((repository) => repository.close()));
  }

  #of(name: string): Repository {
    const repository = this.#repositories.get(name);
    if (repository === undefined)
      throw new IronError('E_NOT_FOUND', `there is no repository ${name} in the map`);
    return repository;
  }

  async #askAll(
    { repositories }: Mapping,
    path: string,
    options: Judged,
  ): Promise<ReadonlyMap<string, Asked>> {
    const answers = repositories.map(
      async (name): Promise<[string, Asked]> => [name, await this.#ask(name, path, options)],
    );
    // All of them, also when one throws: nobody writes to a store after the caller went on.
    const settled = await Promise.allSettled(answers);
    for (const one of settled) if (one.status === 'rejected') throw one.reason;
    return new Map(await Promise.all(answers));
  }

  async #ask(name: string, path: string, options: Judged): Promise<Asked> {
    const repository = this.#of(name);
    try {
      const verified = await repository.verify(path, options);
      const { root } = await verified.updater.trusted();
      const { length, hashes } = verified.target;
      const rootKeys = keyIdentities(root.keys, root.roles.root);
      return {
        word: { kind: 'listed', entry: { length, hashes }, rootKeys },
        source: { repository, verified },
      };
    } catch (thrown) {
      const error = asIronError(thrown);
      // A defect, or a caller who has had enough, is nobody's word.
      if (error.code === 'E_INTERNAL' || error.code === 'E_CANCELLED') throw thrown;
      return { word: wordOf(error), source: undefined };
    }
  }
}

function wordOf(error: IronError): Word {
  if (isIronError(error, 'E_TARGET_UNKNOWN')) return { kind: 'absent' };
  const isDenied = isIronError(error, 'E_REVOKED', 'E_WITHDRAWN');
  return { kind: isDenied ? 'denied' : 'failed', error };
}

/** Of one repository's delivery; another that agreed may have the very bytes. */
const ELSEWHERE = ['E_NETWORK', 'E_SLOW', 'E_NOT_FOUND', 'E_HASH', 'E_LENGTH'] as const;

/** Opens all repositories of a map. Nothing is fetched, and nothing is written, before they are used. */
export async function openMapped({
  map,
  store,
  ...options
}: MapOptions): Promise<MappedRepositories> {
  const base = store ?? stateFolder(options.env ?? process.env);
  const opened = new Map<string, Repository>();
  for (const [name, [address, ...mirrors]] of map.repositories) {
    if (address === undefined) throw new IronError('E_CONFIG', `${name} has no address`);
    const folder = mappedFolder(base, name);
    const onNotice = (text: string): void => options.onNotice?.(`${name}: ${text}`);
    opened.set(
      name,
      await openRepository({ ...options, address, mirrors, store: folder, onNotice }),
    );
  }
  return new MappedRepositories(map, opened);
}
