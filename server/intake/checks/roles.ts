/** The snapshot that would list the vendor's roles stays within what other clients read. */

import { IronError } from '../../../shared/errors.ts';
import { BIN_LIMITS, PUBLISHED_LIMITS } from '../../../shared/limits.ts';
import { vendorOfRole } from '../../../shared/tuf/names.ts';
import type { RoleNames } from '../../../shared/tuf/snapshot-roles.ts';

/** What an entry of a role adds to a snapshot, its largest version counted. */
const ENTRY = '"":{"version":9007199254740991},'.length + '.json'.length;

/**
 * Judges roles by name: those that a snapshot lists, which stay listed for ever, and new ones.
 * `E_QUOTA` when a vendor would have too many, `E_TOO_LARGE` when the snapshot would be too large;
 * both say whose share it is.
 */
export function demandListable(
  vendor: string,
  listed: RoleNames,
  added: readonly string[],
): string {
  const shares = sharesWith(listed, added);
  const { roles } = shares.get(vendor) ?? { roles: 0 };
  if (roles > BIN_LIMITS.rolesPerVendor) {
    throw new IronError('E_QUOTA', `${vendor} would have ${roles} roles`, {
      why: `one vendor may have ${BIN_LIMITS.rolesPerVendor}, those counted that it has left: a snapshot lists them for ever`,
      hint: 'nothing was changed; keep the bins, or the nested roles, that there are',
      context: { vendor, roles, limit: BIN_LIMITS.rolesPerVendor },
    });
  }
  let bytes = 0;
  for (const share of shares.values()) bytes += share.bytes;
  if (bytes > PUBLISHED_LIMITS.snapshot) throw tooLarge(bytes, shares);
  return `${vendor} has ${roles} of at most ${BIN_LIMITS.rolesPerVendor} roles`;
}

/** How many of the roles, and of the bytes of a snapshot, are whose. */
export type Shares = ReadonlyMap<string, { readonly roles: number; readonly bytes: number }>;

/** @param names each once */
export function sharesOf(names: Iterable<string>): Shares {
  const shares = new Map<string, { roles: number; bytes: number }>();
  for (const role of names) count(shares, role);
  return shares;
}

/** Of names that a snapshot lists: one snapshot after the other lists the same ones. */
const known = new WeakMap<RoleNames, Shares>();

/** The same of what is listed and what is added, which may be listed already. */
function sharesWith(listed: RoleNames, added: readonly string[]): Shares {
  const standing = known.get(listed) ?? sharesOf(listed.roles);
  known.set(listed, standing);
  const shares = new Map(standing);
  for (const role of new Set(added)) if (!listed.places.has(role)) count(shares, role);
  return shares;
}

function count(shares: Map<string, { roles: number; bytes: number }>, role: string): void {
  const owner = vendorOfRole(role);
  const { roles, bytes } = shares.get(owner) ?? { roles: 0, bytes: 0 };
  shares.set(owner, { roles: roles + 1, bytes: bytes + role.length + ENTRY });
}

/** `E_TOO_LARGE` of a snapshot, with the vendors that have the largest shares of it. */
export function tooLarge(bytes: number, shares: Shares): IronError {
  const largest = [...shares].sort(([, a], [, b]) => b.bytes - a.bytes).slice(0, 3);
  const words = largest.map(
    ([name, share]) =>
      `${name} ${Math.round((100 * share.bytes) / bytes)} % with ${share.roles} roles`,
  );
  return new IronError('E_TOO_LARGE', `the snapshot would have ${bytes} bytes`, {
    why: `more than ${PUBLISHED_LIMITS.snapshot} come near what clients refuse to read; the largest shares: ${words.join(', ')}`,
    hint: 'nothing was changed; fewer bins, or fewer vendors in one repository',
    context: { bytes, limit: PUBLISHED_LIMITS.snapshot, vendor: largest[0]?.[0] ?? '' },
  });
}
