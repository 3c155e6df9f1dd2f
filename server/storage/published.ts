/**
 * What the tree says now, verified from root 1 on. Expiry is left out (the present is put at the
 * beginning of time): the service must go on working on what it will renew, and the clients judge
 * freshness for themselves.
 */

import { join } from 'node:path';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { settled } from '../../shared/crypto/digest-memory.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { revocations as place, tree } from '../../shared/layout.ts';
import { METADATA_LIMITS, REVOCATION_LIMITS } from '../../shared/limits.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { promptFiles } from '../../shared/node/prompt-files.ts';
import { type VerifiedList, verifyList } from '../../shared/revocation/signed-list.ts';
import type { DelegatedRole, Delegations } from '../../shared/tuf/delegations.ts';
import { parseRevocationTrust } from '../../shared/tuf/revocation-trust.ts';
import type { Root } from '../../shared/tuf/root.ts';
import type { Snapshot } from '../../shared/tuf/snapshot.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import type { Timestamp } from '../../shared/tuf/timestamp.ts';
import { parseVendors, type Vendor } from '../../shared/tuf/vendors.ts';
import { driveAsync } from '../../shared/verify/drive.ts';
import type { Floors } from '../../shared/verify/floors.ts';
import { type SnapshotReader, TrustedMetadata } from '../../shared/verify/trusted.ts';
import { type Request, refresh } from '../../shared/verify/workflow.ts';
import { rememberingSnapshots } from './snapshot-memory.ts';

/** Parsed files of vendors that are kept in memory. */
const KEPT_ROLES = 64;

export class Published {
  readonly root: Root;
  readonly timestamp: Timestamp;
  readonly snapshot: Snapshot;
  readonly targets: Targets;
  readonly vendors: ReadonlyMap<string, Vendor>;
  readonly floors: Floors;
  /** Files as they are in the tree: the roots by version, the last of each other top-level role. */
  readonly roots: ReadonlyMap<number, Uint8Array>;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly folder: string;
  /**
   * Vendors' files, read when they are asked for; the tree under them does not change. Those used
   * last are kept, oldest first: a vendor's bins together may be larger than memory.
   */
  readonly #roles = new Map<string, Promise<PublishedRole>>();
  readonly #crypto: Crypto;
  #revocations: Promise<PublishedRevocations | undefined> | undefined;

  constructor(
    folder: string,
    trusted: TrustedMetadata,
    roots: ReadonlyMap<number, Uint8Array>,
    files: ReadonlyMap<string, Uint8Array>,
  ) {
    this.folder = folder;
    this.#crypto = trusted.crypto;
    this.root = trusted.root;
    this.timestamp = trusted.requireFreshTimestamp();
    this.snapshot = trusted.snapshot();
    const targets = trusted.targets('targets');
    if (targets === undefined) throw new IronError('E_INTERNAL', 'a refresh without targets');
    this.targets = targets;
    this.vendors = parseVendors(targets.envelope.signed);
    this.floors = trusted.floors;
    this.roots = roots;
    this.files = files;
  }

  get delegations(): Delegations | undefined {
    return this.targets.delegations;
  }

  delegation(role: string): DelegatedRole | undefined {
    return this.delegations?.roles.find(({ name }) => name === role);
  }

  /** The version of a role that the snapshot lists; 0 for none. */
  version(role: string): number {
    return this.snapshot.roles.get(role)?.version ?? 0;
  }

  /** The role that lists the revocations and its list, verified; undefined without a team. */
  async revocations(): Promise<PublishedRevocations | undefined> {
    this.#revocations ??= this.#readRevocations();
    this.#revocations.catch(() => {
      this.#revocations = undefined;
    });
    return await this.#revocations;
  }

  async #readRevocations(): Promise<PublishedRevocations | undefined> {
    const trust = parseRevocationTrust(this.targets.envelope.signed);
    const role = (await this.role(place.role))?.targets;
    const entry = role?.entry(place.list);
    if (trust === undefined || role === undefined || entry === undefined) return undefined;
    const path = tree.target(place.list, entry.hashes.get('sha256') ?? '');
    const bytes = await readMetadata(this.folder, path, REVOCATION_LIMITS.list);
    if (bytes === undefined) return damaged(path);
    return { role, bytes, verified: verifyList(this.#crypto, bytes, trust, undefined) };
  }

  /**
   * The published file of a delegated role. It verified when it was published; under delegations
   * that changed since it need not verify now, and is still what the tree shows.
   */
  async role(role: string): Promise<PublishedRole | undefined> {
    const version = this.version(role);
    if (version === 0) return undefined;
    const known = this.#roles.get(role);
    if (known !== undefined) {
      this.#roles.delete(role);
      this.#roles.set(role, known);
      return await known;
    }
    const reading = readMetadata(this.folder, tree.metadata(role, version), METADATA_LIMITS.targets)
      .then((bytes) => bytes ?? damaged(tree.metadata(role, version)))
      .then((bytes) => ({ bytes, targets: parseTargets(bytes, role) }));
    this.#roles.set(role, reading);
    const [oldest] = this.#roles.keys();
    if (this.#roles.size > KEPT_ROLES && oldest !== undefined) this.#roles.delete(oldest);
    reading.catch(() => this.#roles.delete(role));
    return await reading;
  }
}

export interface PublishedRevocations {
  readonly role: Targets;
  readonly bytes: Uint8Array;
  readonly verified: VerifiedList;
}

export interface PublishedRole {
  readonly bytes: Uint8Array;
  readonly targets: Targets;
}

/** Loads and verifies the tree in `folder`; undefined when nothing was ever published in it. */
export async function loadPublished(
  folder: string,
  crypto: Crypto,
  readSnapshot?: SnapshotReader,
): Promise<Published | undefined> {
  const first = await readMetadata(folder, tree.metadata('root', 1), METADATA_LIMITS.root);
  const timestamp = await readMetadata(folder, tree.timestamp, METADATA_LIMITS.timestamp);
  // Roots without a timestamp are a first publication that did not end: nobody could read it.
  if (first === undefined || timestamp === undefined) return undefined;
  const roots = new Map([[1, first]]);
  const files = new Map<string, Uint8Array>();
  const trusted = new TrustedMetadata({ crypto, now: 0, root: first, readSnapshot });
  const answer = async (request: Request): Promise<Uint8Array | undefined> => {
    switch (request.kind) {
      case 'cached': {
        // Own roots are replayed as stored ones: there may be more than one refresh would fetch.
        if (request.role !== 'root' || request.version === undefined) return undefined;
        const path = tree.metadata('root', request.version);
        const bytes = await readMetadata(folder, path, METADATA_LIMITS.root);
        if (bytes !== undefined) roots.set(request.version, bytes);
        return bytes;
      }
      case 'fetch': {
        // Every root that is there was replayed, and one that did not verify is damage.
        if (request.role === 'root') return undefined;
        const path =
          request.version === undefined
            ? tree.timestamp
            : tree.metadata(request.role, request.version);
        const bytes = await readMetadata(folder, path, request.maxLength);
        if (bytes !== undefined) files.set(request.role, bytes);
        return bytes;
      }
      case 'unusable':
        throw request.error;
      default:
        return undefined;
    }
  };
  try {
    await driveAsync(refresh(trusted), answer);
  } catch (cause) {
    if (!isIronError(cause) || cause.code === 'E_INTERNAL') throw cause;
    throw new IronError('E_STORE', `the published tree in ${folder} does not verify`, {
      why: `${cause.message}${cause.why === undefined ? '' : `: ${cause.why}`}`,
      hint: 'nothing was changed; `ironport-repo fsck` lists all that is wrong',
      cause,
    });
  }
  return new Published(folder, trusted, roots, files);
}

/** A metadata file of the tree, or undefined when it is not there. Nobody writes into what it gives. */
export async function readMetadata(
  folder: string,
  path: string,
  cap: number,
): Promise<Uint8Array | undefined> {
  try {
    const options = { nofollow: true, files: promptFiles };
    return settled(await readFileCapped(join(folder, path), cap, options));
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) return undefined;
    throw error;
  }
}

function damaged(path: string): never {
  throw new IronError('E_STORE', `${path} is listed and not there`, {
    hint: 'nothing was changed; `ironport-repo fsck` lists all that is wrong',
  });
}

/** The tree as the service sees it, read again after each publication. Owned by the service. */
export class CurrentTree {
  readonly folder: string;
  readonly #crypto: Crypto;
  /** Remembers what stands, for whoever verifies what follows it. */
  readonly readSnapshot: SnapshotReader;
  #loaded: Promise<Published | undefined> | undefined;

  constructor(folder: string, crypto: Crypto) {
    this.folder = folder;
    this.#crypto = crypto;
    this.readSnapshot = rememberingSnapshots(crypto);
  }

  get(): Promise<Published | undefined> {
    if (this.#loaded === undefined) {
      const loading = loadPublished(this.folder, this.#crypto, this.readSnapshot);
      this.#loaded = loading;
      // What failed once may be whole again at the next call.
      loading.catch(() => {
        if (this.#loaded === loading) this.#loaded = undefined;
      });
    }
    return this.#loaded;
  }

  /** The tree, when there must be one. `E_NO_PIN` before the first publication. */
  async need(): Promise<Published> {
    const published = await this.get();
    if (published !== undefined) return published;
    throw new IronError('E_NO_PIN', 'this repository has no root yet', {
      hint: 'hand in the first root and targets on the machine itself: `ironport-repo submit`',
    });
  }

  /** Something was published: what was read is old. */
  changed(): void {
    this.#loaded = undefined;
  }
}
