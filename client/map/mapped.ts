/**
 * Several repositories as one, by a map file (TAP 4): each with a root and a store of its own, and
 * an artifact only when enough of them, each verified as if it were the only one, say the same.
 */

import { join } from 'node:path';
import { asIronError, IronError, isIronError } from '../../shared/errors.ts';
import { indexPath, store as layout } from '../../shared/layout.ts';
import type { Choice } from '../../shared/product/choose.ts';
import type { ProductIndex } from '../../shared/product/index-file.ts';
import { type MapFile, type Mapping, parseRepositoryName } from '../../shared/tuf/map-file.ts';
import { keyIdentities } from '../../shared/tuf/role.ts';
import type { TargetEntry } from '../../shared/tuf/targets.ts';
import { type Agreement, agree, type Word } from '../../shared/verify/agreement.ts';
import type { DownloadOutcome } from '../download.ts';
import { chooseOne, type Host, type ProductName, verifyChosen } from '../find/resolve.ts';
import { getAllVerified } from '../get-all.ts';
import { openRepository } from '../open-repository.ts';
import type {
  GetOptions,
  Repository,
  RepositoryOptions,
  VerifyOptions,
  Wanted,
} from '../repository.ts';
import { stateFolder } from '../store/locate.ts';
import type { Updater } from '../updater.ts';
import { type FileVerdict, verifyFile } from '../verify-offline.ts';
import type { KeepableTarget } from '../verify-target.ts';
import { Catalogs, readCatalog } from './catalogs.ts';

export interface MapOptions extends Omit<RepositoryOptions, 'address' | 'mirrors'> {
  readonly map: MapFile;
  /** A folder for all of them; each has its own below it, by name. */
  readonly store?: string | undefined;
}

/** Verified in each repository that agreed; what stands here is of the first of them. */
export interface AgreedTarget extends KeepableTarget {
  readonly agreement: Agreement;
  /** Where the bytes can come from: every repository that agreed, in the order of the mapping. */
  readonly sources: readonly Source[];
}

/** Nothing that a policy refuses is ever a word for it. */
type Judged = Pick<VerifyOptions, 'policy'>;

/** A version of a product that was chosen by an index, and both were agreed on. */
export interface AgreedProduct extends AgreedTarget {
  readonly choice: Choice;
}

export interface Source {
  /** Its name in the map. */
  readonly name: string;
  readonly repository: Repository;
  readonly verified: KeepableTarget;
}

/** What one repository lists, and what the answer to the caller is made from. */
interface Listing<T> {
  readonly entry: Pick<TargetEntry, 'length' | 'hashes'>;
  readonly updater: Updater;
  readonly value: T;
}

/** How one repository is asked; undefined when nobody in it who may speak for the path lists it. */
type Question<T> = (repository: Repository, name: string) => Promise<Listing<T> | undefined>;

/** An answer, with what it rests on when it is a listing. */
interface Asked<T> {
  readonly word: Word;
  readonly value: T | undefined;
}

/** The folder of one repository. Its name is one plain segment, so it stays in the store. */
export function mappedFolder(base: string, name: string): string {
  return join(base, layout.mapped(parseRepositoryName(name)));
}

export class MappedRepositories {
  readonly map: MapFile;
  /** What this host has of its own lies here, and a store for each repository below it. */
  readonly folder: string;
  /** By name. */
  readonly repositories: ReadonlyMap<string, Repository>;

  constructor(map: MapFile, repositories: ReadonlyMap<string, Repository>, folder: string) {
    this.map = map;
    this.folder = folder;
    this.repositories = repositories;
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
    const { agreement, values: sources } = await this.#agreeOn(path, async (repository, name) => {
      const verified = await repository.verify(path, options);
      const { target, updater } = verified;
      return { entry: target, updater, value: { name, repository, verified } };
    });
    const { agreed, mapping } = agreement;
    // Any of them may be the one that delivers, and what was checked is said of that one.
    for (const { verified } of sources)
      verified.checks.push({
        rule: 'TAP 4',
        what: `${agreed.length} of ${mapping.repositories.length} repositories give it the same length and hashes: ${agreed.join(', ')}; the map asks for ${mapping.threshold}`,
      });
    return { ...(sources[0] as Source).verified, agreement, sources };
  }

  /**
   * The version of a product that is for this host. Its index is a target like any other: enough
   * repositories must list the same one, and then the same of the artifact that it chooses.
   */
  async verifyProduct(name: ProductName, host: Host, options: Judged = {}): Promise<AgreedProduct> {
    const path = indexPath(name.vendor, name.product);
    const { values } = await this.#agreeOn(path, async (repository) => {
      const found = await repository.productIndex(name);
      if (found === undefined) return undefined;
      return { entry: found.found.entry, updater: found.updater, value: found.index };
    });
    const choice = chooseOne(values[0] as ProductIndex, name, host);
    const verified = await this.verify(choice.only.path, options);
    // The length and the digests are the same in all of them; the ceilings need not be.
    for (const source of verified.sources) verifyChosen(source.verified, choice, host);
    return { ...verified, choice };
  }

  /**
   * Verifies a file as the target `path` by what is stored of each repository, without the network, and
   * demands that enough of them agree about it. The verdict is that of the first of them.
   */
  async verifyFile(
    file: string,
    path: string,
    options: Judged = {},
  ): Promise<FileVerdict & { readonly agreement: Agreement }> {
    const { agreement, values } = await this.#agreeOn(path, async (repository) => {
      const verdict = await verifyFile(repository, file, path, options.policy);
      return { entry: verdict.found.entry, updater: verdict.updater, value: verdict };
    });
    return { ...(values[0] as FileVerdict), agreement };
  }

  /** Brings an artifact that was agreed on to `out`, from the first repository that has it. */
  async download<T extends AgreedTarget>(
    agreed: T,
    out: string,
    options: GetOptions = {},
  ): Promise<T & { readonly outcome: DownloadOutcome }> {
    const { outcome } = await this.fromSources(agreed, ({ repository, verified }) =>
      repository.download(verified, out, options),
    );
    for (const { verified } of agreed.sources) await verified.keep();
    return { ...agreed, outcome };
  }

  /** Does `act` with the first repository that agreed, and with the next when its delivery fails. */
  async fromSources<T>({ sources }: AgreedTarget, act: (source: Source) => Promise<T>): Promise<T> {
    let last: IronError | undefined;
    for (const source of sources) {
      try {
        return await act(source);
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

  /** The same for several artifacts at once (get-all.ts): all are agreed on before any is brought. */
  getAllVerified(
    wanted: readonly Wanted[],
    options: Omit<GetOptions, 'onStart'> = {},
  ): Promise<(AgreedTarget & { readonly outcome: DownloadOutcome })[]> {
    return getAllVerified<AgreedTarget>(this, wanted, options);
  }

  /**
   * Does `act` with each repository of the map, side by side, and says of each what came of it. What
   * one of them fails with stops no other.
   */
  async each<T>(
    act: (repository: Repository, name: string) => Promise<T>,
  ): Promise<ReadonlyMap<string, T | IronError>> {
    const answers = [...this.repositories].map(
      async ([name, repository]): Promise<[string, T | IronError]> => {
        try {
          return [name, await act(repository, name)];
        } catch (thrown) {
          return [name, ofRepository(thrown)];
        }
      },
    );
    return new Map(await allSettled(answers));
  }

  /** What each of them lists, with a device what the vendors of it list; verified, and read once. */
  async catalogs(device?: Host['device']): Promise<Catalogs> {
    return new Catalogs(this.map, await this.each((one) => readCatalog(one, device)));
  }

  /** Ends idle connections. */
  async close(): Promise<void> {
    await Promise.all([...this.repositories.values()].map((repository) => repository.close()));
  }

  #of(name: string): Repository {
    const repository = this.repositories.get(name);
    if (repository === undefined)
      throw new IronError('E_NOT_FOUND', `there is no repository ${name} in the map`);
    return repository;
  }

  /** Asks mapping by mapping until enough agree; `values` are of those that did, in their order. */
  async #agreeOn<T>(
    path: string,
    question: Question<T>,
  ): Promise<{ readonly agreement: Agreement; readonly values: readonly T[] }> {
    const decision = agree(this.map, path);
    let asked: ReadonlyMap<string, Asked<T>> = new Map();
    let step = decision.next();
    while (!step.done) {
      asked = await this.#askAll(step.value, question);
      step = decision.next(new Map([...asked].map(([name, { word }]) => [name, word])));
    }
    const agreement = step.value;
    const values = agreement.agreed
      .map((name) => asked.get(name)?.value)
      .filter((value) => value !== undefined);
    if (values.length === 0) throw new IronError('E_INTERNAL', 'an agreement of nobody');
    return { agreement, values };
  }

  async #askAll<T>(
    { repositories }: Mapping,
    question: Question<T>,
  ): Promise<ReadonlyMap<string, Asked<T>>> {
    const answers = repositories.map(
      async (name): Promise<[string, Asked<T>]> => [name, await this.#ask(name, question)],
    );
    return new Map(await allSettled(answers));
  }

  async #ask<T>(name: string, question: Question<T>): Promise<Asked<T>> {
    try {
      const listing = await question(this.#of(name), name);
      if (listing === undefined) return { word: { kind: 'absent' }, value: undefined };
      const { root } = await listing.updater.trusted();
      const { length, hashes } = listing.entry;
      const rootKeys = keyIdentities(root.keys, root.roles.root);
      return {
        word: { kind: 'listed', entry: { length, hashes }, rootKeys },
        value: listing.value,
      };
    } catch (thrown) {
      return { word: wordOf(ofRepository(thrown)), value: undefined };
    }
  }
}

/** What a repository failed with. A defect, or a caller who has had enough, is nobody's word. */
function ofRepository(thrown: unknown): IronError {
  const error = asIronError(thrown);
  if (error.code === 'E_INTERNAL' || error.code === 'E_CANCELLED') throw thrown;
  return error;
}

/** All of them, also when one throws: nobody writes to a store after the caller went on. */
async function allSettled<T>(answers: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(answers);
  return settled.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
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
  return new MappedRepositories(map, opened, base);
}
