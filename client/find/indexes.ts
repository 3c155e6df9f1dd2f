/** The signed indexes of products, verified and read. */

import { IronError, isIronError } from '../../shared/errors.ts';
import { indexPath } from '../../shared/layout.ts';
import { INDEX_LIMITS } from '../../shared/limits.ts';
import { wasWithdrawn } from '../../shared/product/change-index.ts';
import { type ProductIndex, parseIndex, productOfIndex } from '../../shared/product/index-file.ts';
import type { SomeDevice } from '../../shared/tuf/hardware-id.ts';
import { parseArtifactPath } from '../../shared/tuf/names.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { parseVendors, speaksFor } from '../../shared/tuf/vendors.ts';
import { listTargets, type TargetList } from '../../shared/verify/list.ts';
import type { FoundTarget } from '../../shared/verify/workflow.ts';
import { fetchTarget } from '../download.ts';
import type { Source } from '../fetch/source.ts';
import { targetFile } from '../target-file.ts';
import type { Updater } from '../updater.ts';

export interface IndexSource {
  /** Refreshed, or it refreshes itself when it is first asked. */
  readonly updater: Updater;
  readonly fetcher: Source;
  readonly consistentSnapshot: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** One index, read, with what it rests on. */
export interface FoundIndex {
  readonly found: FoundTarget;
  readonly index: ProductIndex;
  readonly updater: Updater;
}

/** The index of a product with the entry by which it is signed, or undefined when nobody lists one. */
export async function findIndex(
  source: IndexSource,
  vendor: string,
  product: string,
): Promise<FoundIndex | undefined> {
  const { updater } = source;
  const found = await updater.find(indexPath(vendor, product));
  return found === undefined ? undefined : { found, index: await read(source, found), updater };
}

/** The index of a product, or undefined when its vendor publishes none. */
export async function loadIndex(
  source: IndexSource,
  vendor: string,
  product: string,
): Promise<ProductIndex | undefined> {
  return (await findIndex(source, vendor, product))?.index;
}

/** A found index with its bytes read. `E_NOT_AUTHORISED` when it is not its vendor's own word. */
export async function read(source: IndexSource, found: FoundTarget): Promise<ProductIndex> {
  return parseIndex(await readBytes(source, found), found.entry.path);
}

export async function readBytes(source: IndexSource, found: FoundTarget): Promise<Uint8Array> {
  const { path } = found.entry;
  const { vendor } = parseArtifactPath(path);
  // Only a vendor's own branch speaks for paths that begin with its name.
  if (found.chain[1] !== vendor) {
    throw new IronError('E_NOT_AUTHORISED', `${path} is not ${vendor}'s own word`, {
      why: `it was reached by ${found.chain.join(' → ')}`,
      hint: 'nothing was changed; only a vendor speaks for paths that begin with its name',
    });
  }
  const file = targetFile(found.entry, source.consistentSnapshot);
  return fetchTarget(source.fetcher, file, INDEX_LIMITS.file, { signal: source.signal });
}

export interface FoundIndexes {
  readonly indexes: readonly ProductIndex[];
  /** Roles and indexes that could not be used, and why. */
  readonly failed: ReadonlyMap<string, IronError>;
}

/**
 * The indexes of every product whose vendor the operators gave this device, or of all products
 * without one. What one vendor broke hides no other.
 */
export async function loadIndexes(
  source: IndexSource,
  device: SomeDevice | undefined,
): Promise<FoundIndexes> {
  return readIndexes(source, await listBranches(source, device));
}

/** Every target, or with a device those below the vendors that the operators gave it. */
export async function listBranches(
  { updater }: IndexSource,
  device: SomeDevice | undefined,
): Promise<TargetList> {
  if (device === undefined) return updater.run((trusted) => listTargets(trusted));
  return updater.run((trusted) => {
    const vendors = parseVendors((trusted.targets('targets') as Targets).envelope.signed);
    const branches = (role: string): boolean => speaksFor(vendors.get(role), device);
    return listTargets(trusted, { branches });
  });
}

/** The indexes among listed targets. */
export async function readIndexes(source: IndexSource, list: TargetList): Promise<FoundIndexes> {
  const failed = new Map(list.failed);
  const indexes: ProductIndex[] = [];
  for (const found of list.targets) {
    const { path } = found.entry;
    if (productOfIndex(path) === undefined) continue;
    try {
      indexes.push(await read(source, found));
    } catch (error) {
      if (!isIronError(error, ...BROKEN)) throw error;
      failed.set(path, error);
    }
  }
  return { indexes, failed };
}

/** What is a vendor's fault or a mirror's, about one index. */
const BROKEN = [
  ...(['E_JSON', 'E_SCHEMA', 'E_NAME', 'E_TOO_LARGE', 'E_NOT_AUTHORISED', 'E_HASH'] as const),
  ...(['E_LENGTH', 'E_NOT_FOUND'] as const),
] as const;

/** Throws `E_WITHDRAWN` when the index of its product says that of `path`. */
export async function refuseWithdrawn(source: IndexSource, path: string): Promise<void> {
  let name: ReturnType<typeof parseArtifactPath>;
  try {
    name = parseArtifactPath(path);
  } catch (error) {
    // A path of another repository's form has no index of ours.
    if (isIronError(error, 'E_NAME')) return;
    throw error;
  }
  const index = await loadIndex(source, name.vendor, name.product);
  const entry = index?.entries.find((one) => one.path === path);
  if (entry?.withdrawn !== undefined) {
    throw wasWithdrawn(entry, 'nothing was changed; what was installed before goes on running');
  }
}
