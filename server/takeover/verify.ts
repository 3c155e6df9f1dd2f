/**
 * Verifies the metadata of a repository that other tools made, from a root 1 that the caller trusts,
 * by the same workflow as every client; and says what of it has no place here. Reads only.
 */

import { equalBytes } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError } from '../../shared/errors.ts';
import { revocations, tree } from '../../shared/layout.ts';
import { METADATA_LIMITS, PUBLISHED_LIMITS } from '../../shared/limits.ts';
import type { Instant } from '../../shared/time.ts';
import type { DelegatedRole } from '../../shared/tuf/delegations.ts';
import type { SignedCommon } from '../../shared/tuf/envelope.ts';
import { verifyMetaFile } from '../../shared/tuf/meta-file.ts';
import { parseVendorName, quoted, TOP_LEVEL_ROLES } from '../../shared/tuf/names.ts';
import { patternsOf } from '../../shared/tuf/nested.ts';
import { parseRoot, type Root } from '../../shared/tuf/root.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import { driveAsync } from '../../shared/verify/drive.ts';
import { TrustedMetadata } from '../../shared/verify/trusted.ts';
import { loadDelegated, type Request, refresh } from '../../shared/verify/workflow.ts';
import { demandFirstRoot } from '../storage/first-root.ts';
import { type LoadRole, RolesBelow } from './below.ts';
import type { Obstacles } from './obstacles.ts';
import type { Source } from './source.ts';

/** A repository whose metadata verified. */
export interface Found {
  readonly root: Root;
  readonly versions: { readonly timestamp: number; readonly snapshot: number };
  /** Versions of all roles that the snapshot lists. */
  readonly roles: ReadonlyMap<string, number>;
  /** Those that list targets, `targets` among them. */
  readonly listing: ReadonlyMap<string, Targets>;
  /** Roles that the snapshot lists and that nothing delegates to. */
  readonly unreachable: readonly string[];
  /** Every metadata file, by its place in our tree. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Roles that have expired, and when. */
  readonly expired: readonly { readonly role: string; readonly expires: Instant }[];
  /** Keys that are of no use here, in words. */
  readonly notes: readonly string[];
}

export interface VerifyOptions {
  readonly source: Source;
  readonly crypto: Crypto;
  readonly now: Instant;
  /** The bytes of the root 1 that is trusted. */
  readonly pinned: Uint8Array;
}

/** Most roots of one chain: one a day for thirty years. */
const MOST_ROOTS = 10_000;

const HOW_TO_GET_IT =
  'take root 1 from whoever made the repository, or from a host that was set up with it, and compare its SHA-256 with them by another channel: 1.root.json of the repository itself is as good as the repository';

/** Throws what a client would throw; what only has no place here is added to `obstacles`. */
export async function verifyRepository(
  options: VerifyOptions,
  obstacles: Obstacles,
): Promise<Found> {
  return await new Verification(options, obstacles).run();
}

class Verification {
  readonly #options: VerifyOptions;
  readonly #obstacles: Obstacles;
  readonly #files = new Map<string, Uint8Array>();
  readonly #notes: string[] = [];
  readonly #listing = new Map<string, Targets>();
  readonly #unreachable: string[] = [];

  constructor(options: VerifyOptions, obstacles: Obstacles) {
    this.#options = options;
    this.#obstacles = obstacles;
  }

  async run(): Promise<Found> {
    const roots = await this.#roots();
    // Expiry is said and decides nothing: a repository whose service is gone is taken over, too.
    const trusted = new TrustedMetadata({
      ...{ crypto: this.#options.crypto, now: 0, root: roots[0] as Uint8Array },
    });
    await driveAsync(refresh(trusted), (request) => this.#answer(request, roots));
    const { root } = trusted;
    const [timestamp, snapshot] = [trusted.requireFreshTimestamp(), trusted.snapshot()];
    const targets = trusted.targets('targets');
    if (targets === undefined) throw new IronError('E_INTERNAL', 'a refresh without targets');
    this.#judgeRoot(root);
    for (const { version } of [timestamp, snapshot, targets])
      if (version > PUBLISHED_LIMITS.version)
        this.#obstacles.found(
          'snapshot',
          `version ${version} leaves no room for those that follow`,
        );
    this.#listing.set('targets', targets);
    await this.#delegated(trusted, targets);
    await this.#others(trusted);
    const top: readonly (readonly [string, SignedCommon])[] = [
      ...([
        ['root', root],
        ['timestamp', timestamp],
        ['snapshot', snapshot],
      ] as const),
      ...this.#listing,
    ];
    return {
      root,
      versions: { timestamp: timestamp.version, snapshot: snapshot.version },
      roles: new Map([...snapshot.roles].map(([role, { version }]) => [role, version])),
      listing: this.#listing,
      unreachable: this.#unreachable,
      files: this.#files,
      expired: top
        .filter(([, { expires }]) => expires <= this.#options.now)
        .map(([role, { expires }]) => ({ role, expires })),
      notes: this.#notes,
    };
  }

  /** The whole chain from root 1, which is the one that is trusted. */
  async #roots(): Promise<Uint8Array[]> {
    const { source, crypto, pinned } = this.#options;
    demandFirstRoot(parseRoot(pinned), HOW_TO_GET_IT);
    const read = (wanted: number): Promise<Uint8Array | undefined> =>
      source.metadata(nameOf('root', wanted), METADATA_LIMITS.root);
    const there = await read(1);
    if (there !== undefined && !equalBytes(there, pinned)) throw otherRepository();
    const trusted = new TrustedMetadata({ crypto, now: 0, root: pinned });
    const roots = [pinned];
    while (roots.length < MOST_ROOTS) {
      const next = await read(roots.length + 1);
      if (next === undefined) break;
      trusted.updateRoot(next); // TUF 5.3.4, 5.3.5
      roots.push(next);
    }
    for (const [at, bytes] of roots.entries())
      this.#files.set(tree.metadata('root', at + 1), bytes);
    return roots;
  }

  async #answer(request: Request, roots: readonly Uint8Array[]): Promise<Uint8Array | undefined> {
    if (request.kind === 'unusable') throw request.error;
    // All roots were read: they are replayed as stored ones, however many there are.
    if (request.kind === 'cached' && request.role === 'root' && request.version !== undefined)
      return roots[request.version - 1];
    if (request.kind !== 'fetch' || request.role === 'root') return undefined;
    const { role, version, maxLength } = request;
    const place = version === undefined ? tree.timestamp : tree.metadata(role, version);
    // Without consistent snapshots the newest file has no version in its name.
    const file = version === undefined ? tree.unversioned(role) : nameOf(role, version);
    const bytes = await this.#options.source.metadata(file, maxLength);
    if (bytes !== undefined) this.#files.set(place, bytes);
    return bytes;
  }

  #judgeRoot(root: Root): void {
    if (!root.consistentSnapshot)
      this.#obstacles.found(
        'root',
        'it does not ask for consistent snapshots: files of our tree never change, so each version needs a name of its own',
      );
    for (const role of TOP_LEVEL_ROLES) {
      for (const keyid of root.roles[role].keyids) {
        const unusable = root.keys.get(keyid)?.unusable;
        if (unusable !== undefined)
          this.#notes.push(
            `the key ${keyid.slice(0, 12)} of ${role} counts for nothing here: ${unusable}`,
          );
      }
    }
  }

  /** Vendors are delegated to by name, each with its own namespace; below them are roles of theirs. */
  async #delegated(trusted: TrustedMetadata, targets: Targets): Promise<void> {
    const { delegations } = targets;
    if (delegations?.succinct !== undefined) {
      this.#obstacles.found('targets', 'it delegates to hash bins, and not to vendors by name');
      return;
    }
    for (const role of delegations?.roles ?? []) {
      const why = strangeness(role);
      if (why !== undefined) {
        this.#obstacles.found(role.name, why);
        continue;
      }
      await this.#obstacles.guard(role.name, () => this.#vendor(trusted, role));
    }
  }

  async #vendor(trusted: TrustedMetadata, role: DelegatedRole): Promise<void> {
    const load: LoadRole = async (chain, edge) => {
      const loaded = await driveAsync(loadDelegated(trusted, chain, edge), (request) =>
        this.#answer(request, []),
      );
      this.#listing.set(edge.role, loaded);
      return loaded;
    };
    const listed = trusted.snapshot().roles;
    const { name, terminating } = role;
    // Delegated to, and nothing was published yet.
    if (!listed.has(name)) return;
    const file = await load(['targets'], { role: name, keys: role, terminating });
    const { crypto } = this.#options;
    const below = new RolesBelow({ crypto, vendor: name, listed, load }, this.#obstacles);
    await below.take(['targets', name], file, patternsOf(role));
  }

  /** What was listed once stays listed (TUF 5.5.5), by the version and hashes of the snapshot. */
  async #others(trusted: TrustedMetadata): Promise<void> {
    const { source, crypto } = this.#options;
    for (const [role, entry] of trusted.snapshot().roles) {
      const isKnown = this.#listing.has(role) || this.#obstacles.list.some(({ at }) => at === role);
      if (isKnown) continue;
      await this.#obstacles.guard(role, async () => {
        const file = nameOf(role, entry.version);
        const bytes = await source.metadata(file, METADATA_LIMITS.targets);
        if (bytes === undefined)
          throw new IronError('E_NOT_FOUND', `${file} is listed and not there`);
        verifyMetaFile(crypto, bytes, entry, role);
        const parsed = parseTargets(bytes, role);
        if (parsed.version !== entry.version)
          throw new IronError('E_VERSION', `${file} says that it is version ${parsed.version}`);
        this.#files.set(tree.metadata(role, entry.version), bytes);
        this.#listing.set(role, parsed);
        this.#unreachable.push(role);
      });
    }
  }
}

/** Why a delegation of the top has no place here; undefined for one of a vendor. */
function strangeness({ name, scope }: DelegatedRole): string | undefined {
  if (name === revocations.role) return `the name ${name} has another meaning here`;
  try {
    parseVendorName(name);
  } catch {
    return `${quoted(name)} is no name of a vendor (a-z, 0-9 and -, at most 32), which roles of the top are here`;
  }
  const patterns = 'paths' in scope ? scope.paths : [];
  const outside = patterns.find((pattern) => !pattern.startsWith(`${name}/`));
  if (outside !== undefined)
    return `it speaks for ${quoted(outside)}, which is outside of ${name}/`;
  if (patterns.includes(`${name}/*/*/*`)) return undefined;
  return `it is not given ${name}/*/*/*, the namespace that a vendor has here`;
}

function nameOf(role: string, version: number): string {
  return tree.metadata(role, version).slice(tree.metadataFolder.length + 1);
}

function otherRepository(): IronError {
  return new IronError(
    'E_PIN_EXISTS',
    'this is another repository than the one of the given root',
    {
      why: 'its root 1 has other bytes',
      hint: 'nothing was written; check which root, and which repository, is meant',
    },
  );
}
