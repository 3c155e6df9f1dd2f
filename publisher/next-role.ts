/** The vendor's role that follows the published one. Pure: what is signed is made here. */

import { keyIdentity, type PublicKey } from '../shared/crypto/key.ts';
import { IronError } from '../shared/errors.ts';
import { buildEvidenceKeys, parseEvidenceKeys, ROLE_FIELD } from '../shared/evidence/keys.ts';
import { canonicalText } from '../shared/json/canonical.ts';
import { type JsonObject, jsonObject } from '../shared/json/value.ts';
import { PUBLISHED_LIMITS } from '../shared/limits.ts';
import { productOfIndex } from '../shared/product/index-file.ts';
import { formatInstant, type Instant } from '../shared/time.ts';
import { formatMetadata, objectMember, targetsTree, withFields } from '../shared/tuf/build.ts';
import type { Targets } from '../shared/tuf/targets.ts';
import { FLOORS_FIELD, raisedFloorsField } from '../shared/tuf/vendor-floors.ts';

export interface RoleChange {
  /** New entries of `targets`, by path. */
  readonly entries: ReadonlyMap<string, JsonObject>;
  /** Paths that it lists no longer: their bytes stay provable by the versions that listed them. */
  readonly removed?: readonly string[];
  /** Keys with which evidence is signed here; those that the role does not list yet are added. */
  readonly evidenceKeys: readonly PublicKey[];
  /** Keys that sign no new evidence from here on; each is listed as active before. */
  readonly retired?: readonly PublicKey[];
  /** Generation floors that rise, by product: hosts refuse every older build of it for ever. */
  readonly floors?: ReadonlyMap<string, number>;
  readonly expires: Instant;
}

/**
 * The signed part of the version after `base`, the first one without. What is not changed stays as
 * it came. `E_EXISTS` when a path stands for other bytes already, `E_NOTHING_TO_DO` when all of it
 * is listed, `E_TOO_LARGE` when other clients would not read the file, `E_ROLLBACK` when a floor
 * would go down.
 */
export function nextRole(base: Targets | undefined, change: RoleChange): JsonObject {
  const { entries, expires, removed = [], floors = new Map() } = change;
  const tree = base?.envelope.tree ?? targetsTree(1, expires, { targets: new Map() });
  const targets = objectMember(tree, 'targets');
  refuseOverwriting(targets, entries);
  const kept = Object.entries(targets).filter(([path]) => !removed.includes(path));
  const fields = objectMember(tree, ROLE_FIELD);
  const next = withFields(tree, {
    version: (base?.version ?? 0) + 1,
    expires: formatInstant(expires),
    targets: withFields(jsonObject(kept), Object.fromEntries(entries)),
    [ROLE_FIELD]: withFields(fields, {
      ...evidenceField(base, change),
      ...floorsField(fields, floors),
    }),
  });
  demandReadable(next);
  return next;
}

/** The version of a bin, or nested role, after `base` that lists `entries` too. Errors as of `nextRole`. */
export function nextBelow(
  base: Targets,
  { entries, removed = [], expires }: Pick<RoleChange, 'entries' | 'removed' | 'expires'>,
): JsonObject {
  const targets = objectMember(base.envelope.tree, 'targets');
  refuseOverwriting(targets, entries);
  const kept = Object.entries(targets).filter(([path]) => !removed.includes(path));
  const next = withFields(base.envelope.tree, {
    version: base.version + 1,
    expires: formatInstant(expires),
    targets: withFields(jsonObject(kept), Object.fromEntries(entries)),
  });
  demandReadable(next);
  return next;
}

/** `E_TOO_LARGE` when other clients would not read the file. */
export function demandReadable(next: JsonObject): void {
  const { length } = formatMetadata(next, new Map());
  if (length <= PUBLISHED_LIMITS.targets) return;
  throw new IronError('E_TOO_LARGE', `the role would have ${length} bytes`, {
    why: `other clients read at most ${PUBLISHED_LIMITS.targets}`,
    hint: 'nothing was signed; `ironport split` splits it into bins, or into more of them',
  });
}

/** invariant 6: a path never changes its bytes, that of an index apart. */
function refuseOverwriting(targets: JsonObject, entries: ReadonlyMap<string, JsonObject>): void {
  for (const [path, entry] of entries) {
    const old = targets[path];
    // The index of a product is the one thing of a vendor that moves.
    if (old === undefined || productOfIndex(path) !== undefined) continue;
    const hashes = canonicalText(objectMember(objectMember(targets, path), 'hashes'));
    if (hashes === canonicalText(objectMember(entry, 'hashes'))) {
      throw new IronError('E_NOTHING_TO_DO', `${path} is published already, with these bytes`, {
        hint: 'nothing was signed; `ironport renew` makes it valid for longer',
        context: { path },
      });
    }
    throw new IronError('E_EXISTS', `${path} is published already, with other bytes`, {
      why: 'a path that was published stands for the same bytes for ever',
      hint: 'nothing was signed; publish under another version',
      context: { path },
    });
  }
}

function evidenceField(
  base: Targets | undefined,
  { evidenceKeys: added, retired: retiring = [] }: RoleChange,
): JsonObject {
  const { active, retired } =
    base === undefined ? { active: [], retired: [] } : parseEvidenceKeys(base.envelope.signed);
  const isRetired = new Set([...retired, ...retiring].map(keyIdentity));
  const wrong = added.find((key) => isRetired.has(keyIdentity(key)));
  if (wrong !== undefined) {
    throw new IronError('E_KEY', 'the evidence key of this folder is retired', {
      why: 'a retired key signs nothing new',
      hint: 'nothing was signed; `ironport rotate-keys --list evidence` puts a new key in its place',
    });
  }
  const keys = new Map([...active, ...added].map((key) => [keyIdentity(key), key]));
  for (const key of retiring) keys.delete(keyIdentity(key));
  return buildEvidenceKeys({ active: [...keys.values()], retired: [...retired, ...retiring] });
}

/** Nothing where no floor rises: a role without the field stays without it. */
function floorsField(fields: JsonObject, floors: ReadonlyMap<string, number>): JsonObject {
  if (floors.size === 0) return {};
  return { [FLOORS_FIELD]: raisedFloorsField(objectMember(fields, FLOORS_FIELD), floors) };
}

/** The same role with a new date and nothing else. */
export function renewedRole(base: Targets, expires: Instant): JsonObject {
  return withFields(base.envelope.tree, {
    version: base.version + 1,
    expires: formatInstant(expires),
  });
}

/** Whether two versions say the same, dates and numbers apart. */
export function saysTheSame(a: Targets, b: Targets): boolean {
  const bare = ({ envelope }: Targets): string => {
    const fields = Object.entries(envelope.tree).filter(
      ([name]) => name !== 'version' && name !== 'expires',
    );
    return canonicalText(jsonObject(fields));
  };
  return bare(a) === bare(b);
}
