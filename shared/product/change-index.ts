/** What a vendor may do to the index of a product, and what nobody may: one rule for both sides. */

import { IronError } from '../errors.ts';
import { canonicalText } from '../json/canonical.ts';
import { jsonObject } from '../json/value.ts';
import {
  entriesOf,
  entryJson,
  type IndexEntry,
  type ProductIndex,
  type Withdrawn,
} from './index-file.ts';

/**
 * The index with one more artifact. `E_NOTHING_TO_DO` and `E_EXISTS` when its path is listed,
 * `E_WITHDRAWN` when it was withdrawn, `E_VERSION` when its security generation falls behind.
 */
export function withEntry(
  index: ProductIndex | undefined,
  product: Pick<ProductIndex, 'vendor' | 'product'>,
  entry: IndexEntry,
): ProductIndex {
  const entries = index?.entries ?? [];
  const known = entries.find(({ path }) => path === entry.path);
  if (known?.withdrawn !== undefined)
    throw wasWithdrawn(known, 'nothing was signed; publish another version');
  if (known !== undefined) {
    const same = known.sha256 === entry.sha256;
    throw new IronError(
      same ? 'E_NOTHING_TO_DO' : 'E_EXISTS',
      `${entry.path} is published already, with ${same ? 'these' : 'other'} bytes`,
      { hint: 'nothing was signed', context: { path: entry.path } },
    );
  }
  const highest = entries.at(-1);
  if (highest !== undefined && entry.generation < highest.generation) {
    throw new IronError(
      'E_VERSION',
      `${entry.path} has the security generation ${entry.generation}, below ${highest.generation}`,
      {
        why: `${highest.path} has ${highest.generation}, and hosts that took it go back to none below`,
        hint: 'nothing was signed; give the ceiling at least that generation',
        context: { path: entry.path, generation: entry.generation, floor: highest.generation },
      },
    );
  }
  return { ...product, revision: (index?.revision ?? 0) + 1, entries: [...entries, entry] };
}

export type Promotion = Partial<Pick<IndexEntry, 'channel' | 'rolloutPercent' | 'notes' | 'fixes'>>;

/** The index with all files of a version in another channel, or for more or fewer hosts. */
export function promoted(index: ProductIndex, version: string, promotion: Promotion): ProductIndex {
  for (const entry of entriesOf(index, version)) {
    if (entry.withdrawn !== undefined)
      throw wasWithdrawn(entry, 'nothing was signed; publish another version');
  }
  return changed(index, version, promotion);
}

/** The index with all files of a version withdrawn, for ever. `E_NOTHING_TO_DO` when they are. */
export function withdrawn(
  index: ProductIndex,
  version: string,
  withdrawal: Withdrawn,
): ProductIndex {
  const standing = entriesOf(index, version).filter((entry) => entry.withdrawn === undefined);
  if (standing.length === 0) {
    throw new IronError('E_NOTHING_TO_DO', `${version} was withdrawn before`, {
      hint: 'nothing was signed',
    });
  }
  const { supersededBy } = withdrawal;
  if (supersededBy !== undefined) {
    const instead = entriesOf(index, supersededBy);
    if (supersededBy === version || instead.some((entry) => entry.withdrawn !== undefined)) {
      throw new IronError('E_USAGE', `${supersededBy} cannot take the place of ${version}`, {
        why: 'it is withdrawn itself',
        hint: 'nothing was signed',
      });
    }
  }
  return changed(index, version, { withdrawn: withdrawal });
}

function changed(index: ProductIndex, version: string, change: Partial<IndexEntry>): ProductIndex {
  const entries = index.entries.map((entry) =>
    entry.version === version && entry.withdrawn === undefined ? { ...entry, ...change } : entry,
  );
  if (entries.every((entry, i) => sameJson(entry, index.entries[i] as IndexEntry))) {
    throw new IronError('E_NOTHING_TO_DO', `the index says that of ${version} already`, {
      hint: 'nothing was signed',
    });
  }
  return { ...index, revision: index.revision + 1, entries };
}

/**
 * Throws unless `after` may follow `before`: nothing that was listed is forgotten or moved, no fact
 * about an artifact changes, and what was withdrawn stays withdrawn. `E_ROLLBACK`, `E_CONFLICT`,
 * `E_WITHDRAWN`.
 */
export function verifyFollows(before: ProductIndex, after: ProductIndex): void {
  const name = `the index of ${before.vendor}/${before.product}`;
  if (after.revision <= before.revision) {
    throw new IronError(
      'E_ROLLBACK',
      `${name} goes from revision ${before.revision} to ${after.revision}`,
      {
        why: 'a changed index has a higher revision than the one before it',
        context: { offered: after.revision, floor: before.revision },
      },
    );
  }
  for (const [i, old] of before.entries.entries()) {
    const now = after.entries[i];
    if (now === undefined || now.path !== old.path || facts(now) !== facts(old)) {
      throw new IronError('E_CONFLICT', `${name} forgets or changes ${old.path}`, {
        why: 'its place, digest, devices, ABI, generation and date stay what they were',
        context: { path: old.path },
      });
    }
    if (old.withdrawn !== undefined && !sameJson(old, now)) {
      throw wasWithdrawn(old, 'nothing was changed; what was withdrawn stays withdrawn');
    }
  }
}

/** What an index says of an artifact for ever. */
function facts({ path, length, sha256, devices, abi, generation, released }: IndexEntry): string {
  const bare = { path, length, sha256, devices, abi, generation, released };
  return factText({
    ...bare,
    version: '',
    channel: 'testing',
    rolloutPercent: 0,
    notes: '',
    fixes: [],
  });
}

function factText(entry: IndexEntry): string {
  return canonicalText(jsonObject(Object.entries(entryJson(entry))));
}

function sameJson(a: IndexEntry, b: IndexEntry): boolean {
  return factText(a) === factText(b);
}

/** `E_WITHDRAWN` about an entry that is. */
export function wasWithdrawn({ path, withdrawn }: IndexEntry, hint: string): IronError {
  const { reason, supersededBy } = withdrawn ?? { reason: '', supersededBy: undefined };
  return new IronError('E_WITHDRAWN', `${path} was withdrawn by its vendor`, {
    why: reason,
    hint: supersededBy === undefined ? hint : `${hint}; version ${supersededBy} takes its place`,
    context: { path, superseded_by: supersededBy ?? null },
  });
}
