/**
 * The client's shell around the verifier: it answers the workflow's requests from a fetcher and a
 * store, and writes only what was verified. It decides nothing about trust.
 */

import type { Crypto } from '../shared/crypto/crypto.ts';
import { type IronError, isIronError } from '../shared/errors.ts';
import { tree } from '../shared/layout.ts';
import type { SizeLimits } from '../shared/limits.ts';
import type { Clock } from '../shared/time.ts';
import { parseTargetPath } from '../shared/tuf/names.ts';
import type { Report } from '../shared/verify/check.ts';
import { driveAsync } from '../shared/verify/drive.ts';
import { loadRevocations, type Revocations } from '../shared/verify/revocations.ts';
import { type SnapshotReader, TrustedMetadata } from '../shared/verify/trusted.ts';
import { formatNote, noteOf, parseNote } from '../shared/verify/unread.ts';
import {
  type Answer,
  type FoundTarget,
  findTarget,
  type Request,
  refresh,
  type Workflow,
} from '../shared/verify/workflow.ts';
import type { Fetcher } from './fetch/fetcher.ts';
import type { Store } from './store/store.ts';
import { targetFile } from './target-file.ts';

export type { Fetcher, FetchOptions, OpenedFile } from './fetch/fetcher.ts';
export { MemoryStore } from './store/memory.ts';
export type { Store } from './store/store.ts';

export interface UpdaterOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly store: Store;
  /** Of it only `fetchFile` is used: an updater reads metadata, and no targets. */
  readonly fetcher: Pick<Fetcher, 'fetchFile'> & Partial<Fetcher>;
  readonly report?: Report | undefined;
  /** For repositories larger than usual; the store needs the same. */
  readonly limits?: SizeLimits | undefined;
  /** Told when a stored file did not verify and is being replaced. */
  readonly onUnusable?: ((role: string, error: IronError, version?: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The leave for an expired timestamp or snapshot where there is no network (`TrustedOptions`). */
  readonly maxStale?: number | undefined;
  /**
   * Leaves a stored targets file unread while it is what was verified before: `targets('targets')`
   * is then undefined until somebody searches, and `unread` says what was noted (ADR 0013).
   */
  readonly mayLeaveUnread?: boolean | undefined;
  /** For whoever runs many updaters over one repository and keeps what was read of its snapshot. */
  readonly readSnapshot?: SnapshotReader | undefined;
}

/** One refresh, and the searches that build on it. Make a new one for the next refresh. */
export class Updater {
  readonly #options: UpdaterOptions;
  /** Files of this run by role, for those who pass them on (the hand-over). */
  readonly #files = new Map<string, Uint8Array>();
  readonly #roots = new Map<number, Uint8Array>();
  /** The list of revocations of this run, likewise. */
  #list: { readonly place: string; readonly bytes: Uint8Array } | undefined;
  #trusted: TrustedMetadata | undefined;

  constructor(options: UpdaterOptions) {
    this.#options = options;
  }

  /** TUF 5.3 to 5.6 for the top-level roles. The present is read once (TUF 5.1). */
  refresh(): Promise<TrustedMetadata> {
    return this.#exclusively(() => this.#refresh());
  }

  async #refresh(): Promise<TrustedMetadata> {
    const { crypto, clock, store, report, limits, maxStale, mayLeaveUnread, readSnapshot } =
      this.#options;
    const root = await store.pinnedRoot();
    const floors = await store.floors();
    const note = mayLeaveUnread === true ? await store.targetsNote?.() : undefined;
    const targetsNote = note === undefined ? undefined : parseNote(note);
    const trusted = new TrustedMetadata({
      crypto,
      now: clock(),
      root,
      floors,
      maxStale,
      readSnapshot,
      ...(report === undefined ? {} : { report }),
      ...(limits === undefined ? {} : { limits }),
      ...(targetsNote === undefined ? {} : { targetsNote }),
    });
    this.#roots.set(trusted.root.version, root);
    await driveAsync(refresh(trusted), (request) => this.#answer(request));
    this.#trusted = trusted;
    const bytes = this.#files.get('targets');
    if (mayLeaveUnread === true && bytes !== undefined) {
      const fresh = noteOf(trusted, bytes);
      if (fresh !== undefined) await store.writeTargetsNote?.(formatNote(fresh));
    }
    return trusted;
  }

  /** The verified entry for `path`, or undefined when nobody who may speak for it lists it. */
  async find(path: string): Promise<FoundTarget | undefined> {
    return this.run((trusted) => findTarget(trusted, parseTargetPath(path)));
  }

  /** What this run trusts; refreshes first when nobody did. */
  async trusted(): Promise<TrustedMetadata> {
    return this.#trusted ?? (await this.refresh());
  }

  /** What is revoked; refuses when nobody can say. Keeps what is learnt as floors of this host. */
  async revocations(): Promise<Revocations> {
    const loaded = await this.run(loadRevocations);
    const { bytes, found } = loaded;
    if (bytes !== undefined && found !== undefined)
      this.#list = { place: targetFile(found.entry, this.#consistent()).place, bytes };
    return loaded;
  }

  /** Runs any workflow that builds on the refreshed metadata; refreshes first when nobody did. */
  async run<T>(workflow: (trusted: TrustedMetadata) => Workflow<T>): Promise<T> {
    const trusted = await this.trusted();
    return this.#exclusively(() =>
      driveAsync(workflow(trusted), (request) => this.#answer(request)),
    );
  }

  /** One process at a time: two that interleave could each undo what the other verified. */
  #exclusively<T>(act: () => Promise<T>): Promise<T> {
    const { store, signal } = this.#options;
    return store.exclusively === undefined ? act() : store.exclusively(act, signal);
  }

  /** The verified files of this run: all roots from the pinned one on, and the last of each role. */
  get files(): {
    readonly roots: readonly Uint8Array[];
    readonly roles: ReadonlyMap<string, Uint8Array>;
    /** The list of revocations, and where the tree has it. */
    readonly revocations: { readonly place: string; readonly bytes: Uint8Array } | undefined;
  } {
    return {
      roots: [...this.#roots].sort(([a], [b]) => a - b).map(([, bytes]) => bytes),
      roles: this.#files,
      revocations: this.#list,
    };
  }

  async #answer(request: Request): Promise<Answer> {
    const { store, fetcher, signal } = this.#options;
    signal?.throwIfAborted();
    switch (request.kind) {
      case 'cached': {
        const bytes =
          request.role === 'root'
            ? await store.root(request.version ?? 0)
            : await store.read(request.role);
        if (bytes !== undefined) this.#remember(request.role, request.version, bytes);
        return bytes;
      }
      case 'fetch': {
        const path =
          request.version === undefined
            ? `${tree.metadataFolder}/${tree.unversioned(request.role)}`
            : tree.metadata(request.role, request.version);
        return fetcher.fetchFile(path, request.maxLength, { signal });
      }
      case 'cached-list':
        return store.readList?.();
      case 'fetch-list': {
        const { place } = targetFile(request.entry, this.#consistent());
        return fetcher.fetchFile(place, request.maxLength, { signal });
      }
      case 'store-list':
        await store.writeList?.(request.bytes);
        return undefined;
      case 'store':
        this.#remember(request.role, request.version, request.bytes);
        if (request.role === 'root') await store.writeRoot(request.version, request.bytes);
        else await store.write(request.role, request.bytes);
        return undefined;
      case 'drop':
        for (const role of request.roles) await store.remove(role);
        return undefined;
      case 'floors':
        await store.writeFloors(request.floors);
        return undefined;
      case 'unusable':
        if (request.role === 'root') this.#roots.delete(request.version ?? 0);
        else this.#files.delete(request.role);
        // A stored file of an older version is the usual course of things, not damage.
        if (!isIronError(request.error, 'E_MIX_AND_MATCH', 'E_HASH', 'E_LENGTH', 'E_EXPIRED')) {
          this.#options.onUnusable?.(request.role, request.error, request.version);
        }
        return undefined;
    }
  }

  /** TUF 5.7.3 */
  #consistent(): boolean {
    return this.#trusted?.root.consistentSnapshot ?? true;
  }

  #remember(role: string, version: number | undefined, bytes: Uint8Array): void {
    if (role === 'root') this.#roots.set(version ?? 0, bytes);
    else this.#files.set(role, bytes);
  }
}
