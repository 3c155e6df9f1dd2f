/** The root that follows: renewed, or with keys exchanged. Pure. */

import type { Crypto } from '../../shared/crypto/crypto.ts';
import { keyIdentity, type PublicKey } from '../../shared/crypto/key.ts';
import { IronError } from '../../shared/errors.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import {
  idsIn,
  keyTable,
  knownKeys,
  objectMember,
  roleKeys,
  withFields,
} from '../../shared/tuf/build.ts';
import { keyId } from '../../shared/tuf/key.ts';
import { TOP_LEVEL_ROLES, type TopLevelRole } from '../../shared/tuf/names.ts';
import type { Root } from '../../shared/tuf/root.ts';

/** One key of a role for another. `old` is a key id, or the beginning of one. */
export interface Replacement {
  readonly role: 'root' | 'targets';
  readonly old: string;
  readonly new: PublicKey;
}

/** A key that goes and has no successor. */
export type Drop = Omit<Replacement, 'new'>;

export interface RootChange {
  readonly snapshot?: PublicKey | undefined;
  readonly timestamp?: PublicKey | undefined;
  /** Online keys beside those there are; one signature is enough from then on. */
  readonly added?: readonly { readonly role: 'snapshot' | 'timestamp'; readonly key: PublicKey }[];
  readonly replacements?: readonly Replacement[];
  readonly drops?: readonly Drop[];
  readonly rootThreshold?: number | undefined;
  readonly targetsThreshold?: number | undefined;
}

/**
 * The signed part of the root that follows `root`. Fields that are not changed here stay as they
 * came. `E_USAGE` when a replacement fits no key or several, `E_KEY` when a key would have two
 * roles that must not meet, `E_SCHEMA` when a threshold could not be met.
 */
export function nextRoot(
  crypto: Crypto,
  root: Root,
  change: RootChange,
  expires: Instant,
): JsonObject {
  const specs = Object.fromEntries(
    TOP_LEVEL_ROLES.map((role) => [
      role,
      { keys: usableKeys(root, role), threshold: root.roles[role].threshold },
    ]),
  ) as Record<TopLevelRole, { keys: PublicKey[]; threshold: number }>;

  for (const role of ['snapshot', 'timestamp'] as const) {
    const key = change[role];
    if (key !== undefined) specs[role] = { keys: [key], threshold: 1 };
  }
  for (const { role, key } of change.added ?? []) {
    const { keys } = specs[role];
    if (keys.some((one) => keyIdentity(one) === keyIdentity(key)))
      throw new IronError('E_KEY', `the new key is one of ${role} already`);
    specs[role] = { keys: [...keys, key], threshold: 1 };
  }
  for (const { role, old, new: added } of change.replacements ?? []) {
    const { keys } = specs[role];
    const at = indexOfKey(crypto, root, keys, old, role);
    if (keys.some((key) => keyIdentity(key) === keyIdentity(added)))
      throw new IronError('E_KEY', `the new key is one of ${role} already`);
    keys[at] = added;
  }
  for (const { role, old } of change.drops ?? []) {
    const { keys } = specs[role];
    keys.splice(indexOfKey(crypto, root, keys, old, role), 1);
  }
  specs.root.threshold = change.rootThreshold ?? specs.root.threshold;
  specs.targets.threshold = change.targetsThreshold ?? specs.targets.threshold;
  refuseOnlineInOffline(root, specs);

  const { tree } = root.envelope;
  const known = knownKeys(root.keys, objectMember(tree, 'keys'));
  const roles = TOP_LEVEL_ROLES.map(
    (role) => [role, roleKeys(crypto, specs[role], known)] as const,
  );
  return withFields(tree, {
    version: root.version + 1,
    expires: formatInstant(expires),
    keys: keyTable(
      crypto,
      Object.values(specs).flatMap(({ keys }) => keys),
      known,
    ),
    roles: withFields(objectMember(tree, 'roles'), Object.fromEntries(roles)),
  });
}

/** Keys that are of no use here are left behind: they counted for nothing. */
function usableKeys(root: Root, role: TopLevelRole): PublicKey[] {
  return root.roles[role].keyids
    .map((keyid) => root.keys.get(keyid)?.publicKey)
    .filter((key) => key !== undefined);
}

function indexOfKey(
  crypto: Crypto,
  root: Root,
  keys: readonly PublicKey[],
  old: string,
  role: TopLevelRole,
): number {
  // By the id that we would give it, or by the one that the root calls it.
  const found = keys.flatMap((key, i) =>
    idsOf(crypto, root, key).some((keyid) => keyid.startsWith(old)) ? [i] : [],
  );
  const [at] = found;
  if (at === undefined || found.length > 1 || old.length < 8) {
    const ids = keys.map((key) => keyId(crypto, key).slice(0, 12)).join(', ');
    throw new IronError('E_USAGE', `${old} does not name one key of ${role}`, {
      hint: `nothing was written; the keys of ${role} are ${ids}: give 8 digits or more of one, or its public half`,
    });
  }
  return at;
}

function idsOf(crypto: Crypto, root: Root, key: PublicKey): string[] {
  return [keyId(crypto, key), ...idsIn(crypto, root.keys)(key)];
}

/**
 * invariant 7: no online key can authorise an artifact. What a repository that was taken over had
 * already is no reason against the root that leads out of it.
 */
function refuseOnlineInOffline(
  root: Root,
  specs: Readonly<Record<TopLevelRole, { readonly keys: readonly PublicKey[] }>>,
): void {
  const identities = (...lists: readonly (readonly PublicKey[])[]): Set<string> =>
    new Set(lists.flat().map(keyIdentity));
  const offline = identities(specs.root.keys, specs.targets.keys);
  const before = identities(usableKeys(root, 'root'), usableKeys(root, 'targets'));
  for (const role of ['snapshot', 'timestamp'] as const) {
    const online = identities(usableKeys(root, role));
    const isNew = (one: string): boolean => !(online.has(one) && before.has(one));
    if ([...identities(specs[role].keys)].some((one) => offline.has(one) && isNew(one)))
      throw new IronError('E_KEY', `the ${role} key would also be a key of root or targets`);
  }
}
