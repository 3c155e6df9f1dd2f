/**
 * A repository as a program uses it: an address, what this user trusts of it, and the few things
 * one does with it. Everything here is put together from parts that can be had one by one.
 */

import type { Crypto } from '../shared/crypto/crypto.ts';
import type { IronError } from '../shared/errors.ts';
import type { HostPolicy } from '../shared/evidence/policy/host-policy.ts';
import { systemClock } from '../shared/node/clock.ts';
import { platformCrypto } from '../shared/node/crypto.ts';
import type { Choice } from '../shared/product/choose.ts';
import type { Clock } from '../shared/time.ts';
import { parseTargetPath } from '../shared/tuf/names.ts';
import type { Check } from '../shared/verify/check.ts';
import { listTargets, type TargetList } from '../shared/verify/list.ts';
import type { TrustedMetadata } from '../shared/verify/trusted.ts';
import { type DownloadOutcome, downloadTarget } from './download.ts';
import type { Fetcher } from './fetch/fetcher.ts';
import { isElsewhere, Mirrors } from './fetch/mirrors.ts';
import type { Address } from './fetch/open.ts';
import type { RateLimit } from './fetch/rate.ts';
import type { Source } from './fetch/source.ts';
import {
  type FoundIndex,
  type FoundIndexes,
  findIndex,
  type IndexSource,
  listBranches,
  loadIndexes,
  readIndexes,
} from './find/indexes.ts';
import { chooseProduct, type Host, type ProductName, verifyChosen } from './find/resolve.ts';
import { getAllVerified } from './get-all.ts';
import { readCompleted } from './store/completed.ts';
import { HoldingSource, KeepingSource, ListingSource } from './store/evidence.ts';
import type { FolderStore } from './store/folder.ts';
import type { Store } from './store/store.ts';
import type { TargetFile } from './target-file.ts';
import { Updater } from './updater.ts';
import { type KeepableTarget, verifyTarget } from './verify-target.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface RepositoryOptions {
  /** `HOST:PORT`, `http(s)://…`, `file:///…` or the path of a folder. */
  readonly address: string;
  /** A folder for what is trusted; by default one under `$XDG_STATE_HOME/ironport`. */
  readonly store?: string | undefined;
  readonly env?: Env | undefined;
  readonly clock?: Clock | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Uses what is stored and nothing else: the same checks, and no request. */
  readonly offline?: boolean | undefined;
  /**
   * Without the network: for how many seconds after its expiry a timestamp or snapshot is still
   * built on. 0 when absent; then what expired is `E_STALE`.
   */
  readonly maxStale?: number | undefined;
  /** Told what went wrong and was mended: a damaged stored file that is fetched again. */
  readonly onNotice?: ((text: string) => void) | undefined;
  /**
   * Further addresses that serve the same repository, asked in their order when the one before
   * fails. What is trusted stays that of `address`.
   */
  readonly mirrors?: readonly string[] | undefined;
  /**
   * Most bytes a second from servers, or a limit that others share: several repositories of one
   * program stay under it together.
   */
  readonly limitRate?: number | RateLimit | undefined;
  /** Told when a mirror was of no use and the next one is asked. */
  readonly onMirrorLeft?: ((text: string) => void) | undefined;
}

export interface VerifyOptions {
  /** The policy of this host, when it has one; the default of every host holds anyhow. */
  readonly policy?: HostPolicy | undefined;
  /** Return what the policy refuses instead of throwing; for those who ask how its rules stand. */
  readonly showsRefusals?: boolean;
}

export interface GetOptions extends VerifyOptions {
  /** Told once what is about to be downloaded. */
  readonly onStart?: ((path: string, length: number) => void) | undefined;
  /** Called as bytes arrive; with less than 0 for those that another mirror has to send again. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
  /** Stops this download; that of the repository stands in when it is absent. */
  readonly signal?: AbortSignal | undefined;
}

/** What `getVerified` did, and what it rests on. */
export interface Gotten extends KeepableTarget {
  readonly outcome: DownloadOutcome;
}

/** An artifact that was chosen for this host, with what was chosen among. */
export interface VerifiedProduct extends KeepableTarget {
  readonly choice: Choice;
}

/** What a repository lists, and by which verified metadata. */
export interface Contents extends FoundIndexes {
  readonly list: TargetList;
  readonly updater: Updater;
}

/** An artifact, and the file that it is to become. */
export interface Wanted {
  readonly path: string;
  readonly out: string;
}

export class Repository {
  readonly address: Address;
  readonly store: FolderStore;
  /** Of several mirrors, the first: that of `address`. `fromMirrors` asks the others too. */
  readonly fetcher: Fetcher;
  readonly crypto: Crypto = platformCrypto;
  readonly #clock: Clock;
  readonly #options: RepositoryOptions;
  readonly #mirrors: Mirrors;

  constructor(
    address: Address,
    store: FolderStore,
    fetcher: Fetcher,
    options: RepositoryOptions,
    others: readonly Fetcher[] = [],
  ) {
    this.address = address;
    this.store = store;
    this.fetcher = fetcher;
    this.#options = options;
    this.#mirrors = new Mirrors([fetcher, ...others], {
      onLeft: options.onMirrorLeft,
      completed: () => readCompleted(store),
    });
    this.#clock = options.clock ?? systemClock;
  }

  get clock(): Clock {
    return this.#clock;
  }

  get signal(): AbortSignal | undefined {
    return this.#options.signal;
  }

  /** The leave for what expired, in seconds, where there is no network. */
  get maxStale(): number {
    return this.#options.maxStale ?? 0;
  }

  /** Pins a root file, once. `E_PIN_EXISTS` when another one is pinned. */
  pin(root: Uint8Array): Promise<'written' | 'same'> {
    return this.store.pinRoot(root, this.crypto);
  }

  /**
   * Does `act` with this repository as one mirror serves it, and again as the next one does when
   * that fails with what another mirror may do better. `act` gets one state of one mirror.
   */
  fromMirrors<T>(act: (repository: Repository) => Promise<T>): Promise<T> {
    return this.#mirrors.over((mirror) =>
      act(new Repository(this.address, this.store, mirror, this.#options)),
    );
  }

  /** An updater over this repository and its `fetcher`; `checks` collects what it verifies. */
  updater(
    checks: Check[] = [],
    fetcher: Fetcher = this.fetcher,
    clock = this.#clock,
    store: Store = this.store,
    options: { readonly mayLeaveUnread?: boolean } = {},
  ): Updater {
    const { signal, onNotice, maxStale = 0 } = this.#options;
    return new Updater({
      ...options,
      maxStale: fetcher.isOffline === true ? maxStale : undefined,
      crypto: this.crypto,
      clock,
      store,
      fetcher,
      signal,
      report: (check) => checks.push(check),
      onUnusable: (role, error) => onNotice?.(`the stored ${role} was of no use: ${error.message}`),
    });
  }

  /**
   * Brings the top-level roles up to date (TUF 5.3 to 5.6). With `mayLeaveUnread`, a targets file
   * that did not change since it was verified is left unread: `unread` of the result then says what
   * is known of it.
   */
  refresh(options: { readonly mayLeaveUnread?: boolean } = {}): Promise<TrustedMetadata> {
    return this.fromMirrors(({ fetcher }) =>
      this.updater([], fetcher, this.#clock, this.store, options).refresh(),
    );
  }

  /** Every target that somebody may speak for, verified. */
  list(): Promise<TargetList> {
    return this.#mostOf((mirror) => mirror.updater().run((trusted) => listTargets(trusted)));
  }

  /**
   * What a listing can have, from the first mirror that leaves nothing out for want of a file; when
   * all leave something out, from the first of those that leave out the fewest.
   */
  async #mostOf<T extends { readonly failed: ReadonlyMap<string, IronError> }>(
    list: (mirror: Repository) => Promise<T>,
  ): Promise<T> {
    let best: T | undefined;
    try {
      return await this.fromMirrors(async (mirror) => {
        const listed = await list(mirror);
        if (best === undefined || listed.failed.size < best.failed.size) best = listed;
        const missed = [...listed.failed.values()].find(isElsewhere);
        if (missed !== undefined) throw missed;
        return listed;
      });
    } catch (error) {
      if (best !== undefined && isElsewhere(error)) return best;
      throw error;
    }
  }

  /**
   * Verifies everything about an artifact but its bytes, which are not fetched. Its evidence is kept for
   * when there is no network by `keep` of the result, or by `download`.
   */
  async verify(path: string, options: VerifyOptions = {}): Promise<KeepableTarget> {
    // A name that is none is no mirror's doing.
    parseTargetPath(path);
    const { policy, showsRefusals = false } = options;
    return this.fromMirrors(async (mirror) => {
      const { crypto, signal } = mirror;
      const checks: Check[] = [];
      const updater = mirror.updater(checks);
      const { fetcher, keep } = mirror.#holding();
      const verified = await verifyTarget({
        ...{ crypto, updater, fetcher, path, checks, policy, showsRefusals, signal },
      });
      return { ...verified, keep };
    });
  }

  /**
   * The version of a product that is for this host, by its signed index, and verified like any
   * artifact: index and artifact are of one refresh.
   */
  async verifyProduct(
    name: ProductName,
    host: Host,
    options: VerifyOptions = {},
  ): Promise<VerifiedProduct> {
    const { policy, showsRefusals = false } = options;
    return this.fromMirrors(async (mirror) => {
      const checks: Check[] = [];
      const { crypto, signal } = mirror;
      const { fetcher, keep } = mirror.#holding();
      const updater = mirror.updater(checks);
      const { consistentSnapshot } = (await updater.trusted()).root;
      const source = { updater, fetcher, consistentSnapshot, signal };
      const choice = await chooseProduct(source, name, host);
      const { path } = choice.only;
      const verified = await verifyTarget({
        ...{ crypto, updater, fetcher, path, checks, policy, showsRefusals, signal },
      });
      verifyChosen(verified, choice, host);
      return { ...verified, keep, choice };
    });
  }

  /** The indexes of all products, or of those whose vendors were given this device. */
  indexes(device?: Host['device']): Promise<FoundIndexes> {
    return this.#mostOf(async (mirror) =>
      loadIndexes(await mirror.#indexSource(ListingSource), device),
    );
  }

  /** A product's index with the entry by which it is signed, or undefined when nobody lists one. */
  productIndex({ vendor, product }: ProductName): Promise<FoundIndex | undefined> {
    return this.fromMirrors(async (mirror) =>
      findIndex(await mirror.#indexSource(KeepingSource), vendor, product),
    );
  }

  /**
   * Every target that somebody may speak for, with the indexes among them read; with a device, those
   * of the vendors that were given it.
   */
  contents(device?: Host['device']): Promise<Contents> {
    return this.#mostOf(async (mirror) => {
      const source = await mirror.#indexSource(ListingSource);
      const { updater } = source;
      const list = await listBranches(source, device);
      return { list, updater, ...(await readIndexes(source, list)) };
    });
  }

  /** Of this mirror alone, refreshed. */
  async #indexSource(Kind: typeof KeepingSource): Promise<IndexSource> {
    const updater = this.updater();
    const { consistentSnapshot } = (await updater.refresh()).root;
    const fetcher = this.#keepingAs(Kind);
    return { updater, fetcher, consistentSnapshot, signal: this.signal };
  }

  /** Where targets come from; what evidence there is among them stays for when there is no network. */
  #keepingAs(Kind: typeof KeepingSource): Source {
    if (this.fetcher.isOffline === true) return this.fetcher;
    return new Kind(this.fetcher, this.store, this.#options.onNotice);
  }

  /** The same for one verification, and what keeps its evidence in the end. */
  #holding(): { readonly fetcher: Source; keep(): Promise<void> } {
    const fetcher = this.#keepingAs(HoldingSource);
    return {
      fetcher,
      keep: async () => {
        if (fetcher instanceof HoldingSource) await fetcher.release();
      },
    };
  }

  /** Verifies an artifact and brings it to `out`, where nothing unverified ever stands. */
  async getVerified(path: string, out: string, options: GetOptions = {}): Promise<Gotten> {
    return this.download(await this.verify(path, { policy: options.policy }), out, options);
  }

  /** Brings an artifact that was verified to `out`. */
  async download<T extends KeepableTarget>(
    verified: T,
    out: string,
    options: GetOptions = {},
  ): Promise<T & { readonly outcome: DownloadOutcome }> {
    const { target } = verified;
    options.onStart?.(target.path, target.length);
    const outcome = await this.#bring(target, out, options);
    await verified.keep();
    verified.checks.push({
      rule: 'TUF 5.7.2',
      what: `the bytes have the length and every digest that was signed: ${target.length} bytes`,
    });
    return { ...verified, outcome };
  }

  /** The same for several at once (get-all.ts). */
  getAllVerified(
    wanted: readonly Wanted[],
    options: Omit<GetOptions, 'onStart'> = {},
  ): Promise<Gotten[]> {
    return getAllVerified(this, wanted, { ...options, signal: options.signal ?? this.signal });
  }

  /**
   * Brings a verified target to `out`. Its digests were signed, so it may come from another mirror
   * than what lists it; one mirror's part is not continued by another.
   */
  #bring(
    target: TargetFile,
    out: string,
    { onBytes, signal = this.signal }: GetOptions,
  ): Promise<DownloadOutcome> {
    let counted = 0;
    return this.fromMirrors(({ fetcher, store }) => {
      if (counted > 0) onBytes?.(-counted);
      counted = 0;
      return downloadTarget({
        ...{ fetcher, target, out, signal },
        lockFolder: store.folder,
        onBytes: (bytes) => {
          counted += bytes;
          onBytes?.(bytes);
        },
      });
    });
  }

  /** Ends idle connections. */
  close(): Promise<void> {
    return this.#mirrors.close();
  }
}
