/** The index of a product says what the role says, follows the published one, and stays in bounds. */

import { equalBytes } from '../../../shared/bytes.ts';
import { IronError } from '../../../shared/errors.ts';
import { parseTargetCustom } from '../../../shared/evidence/custom.ts';
import { canonicalText } from '../../../shared/json/canonical.ts';
import { verifyFollows, wasWithdrawn } from '../../../shared/product/change-index.ts';
import { entryJson, type IndexEntry, parseIndex } from '../../../shared/product/index-file.ts';
import type { TargetEntry } from '../../../shared/tuf/targets.ts';
import { verifyHardware } from '../../../shared/tuf/vendors.ts';
import { some } from '../check.ts';
import type { Delta } from '../delta.ts';
import type { EvidenceOwner } from '../judge-submission.ts';

/** A product of which a submission changes something, with its index as it was and will be. */
export interface TouchedProduct {
  /** Target path of the index. */
  readonly path: string;
  /** The published one; undefined for none. */
  readonly before: Uint8Array | undefined;
  /** The one that the submitted role lists; undefined when it lists none. */
  readonly after: Uint8Array | undefined;
}

/**
 * What holds, in words. An entry that says what it said before, about a path that nothing happens
 * to, is as true as it was.
 */
export async function productIndex(
  { record, vendor }: EvidenceOwner,
  delta: Delta,
  product: TouchedProduct,
): Promise<string> {
  const { path, before, after } = product;
  if (after === undefined) {
    if (before === undefined) return 'the product has no index';
    throw new IronError('E_CONFLICT', `${path} is listed no longer`, {
      why: 'hosts learn from it what was withdrawn',
      hint: 'nothing was changed; `ironport withdraw` takes versions away',
      context: { path },
    });
  }
  const index = parseIndex(after, path);
  const old = before === undefined ? undefined : parseIndex(before, path);
  if (old !== undefined && before !== undefined && !equalBytes(before, after))
    verifyFollows(old, index);
  const said = new Set(old?.entries.map((entry) => canonicalText(entryJson(entry))));
  for (const entry of index.entries) {
    const moved = delta.changed.has(entry.path) || delta.removed.has(entry.path);
    if (!moved && said.has(canonicalText(entryJson(entry)))) continue;
    const target = await delta.entry(entry.path);
    if (entry.withdrawn !== undefined) {
      if (target === undefined) continue;
      throw wasWithdrawn(entry, 'nothing was changed; a withdrawn name never comes back');
    }
    verifyTrue(entry, target);
    for (const match of entry.devices) verifyHardware(record, vendor, match);
  }
  return `revision ${index.revision}, ${some(index.entries.length, 'version')}, as the role has them`;
}

/** The index and the role speak of the same file, and of the same security generation. */
function verifyTrue(entry: IndexEntry, target: TargetEntry | undefined): void {
  const custom = target?.custom?.maybe('ironport');
  const why =
    target === undefined
      ? 'the role does not list it'
      : target.length !== entry.length || target.hashes.get('sha256') !== entry.sha256
        ? 'the role lists another file under its path'
        : custom === undefined || parseTargetCustom(custom).generation !== entry.generation
          ? 'the role gives it another security generation'
          : undefined;
  if (why === undefined) return;
  throw new IronError('E_CONFLICT', `the index is not true about ${entry.path}`, {
    why,
    hint: 'nothing was changed; `ironport publish` and `ironport withdraw` keep both in step',
    context: { path: entry.path },
  });
}
