/** Root metadata (TUF 1.0.34 section 4.3). */

import { METADATA_LIMITS } from '../limits.ts';
import { parseCommon, parseEnvelope, type SignedCommon } from './envelope.ts';
import { TOP_LEVEL_ROLES, type TopLevelRole } from './names.ts';
import {
  type KeyTable,
  keyIdentities,
  parseKeyTable,
  parseRoleKeys,
  type RoleKeys,
} from './role.ts';

export interface Root extends SignedCommon {
  readonly consistentSnapshot: boolean;
  readonly keys: KeyTable;
  readonly roles: Readonly<Record<TopLevelRole, RoleKeys>>;
}

/** Reads a root file. Its signatures are not checked: that takes the root before it as well. */
export function parseRoot(bytes: Uint8Array): Root {
  const common = parseCommon(parseEnvelope(bytes, METADATA_LIMITS.root, 'root'), 'root');
  const { signed } = common.envelope;
  const roles = signed.get('roles');
  return {
    ...common,
    consistentSnapshot: signed.maybe('consistent_snapshot')?.boolean() ?? false,
    keys: parseKeyTable(signed.get('keys')),
    roles: Object.fromEntries(
      TOP_LEVEL_ROLES.map((role) => [role, parseRoleKeys(roles.get(role))]),
    ) as Record<TopLevelRole, RoleKeys>,
  };
}

/**
 * Whether `next` took a key away from `role` that `previous` had: the rotation after which
 * TUF 5.3.11 drops the trusted timestamp and snapshot. A key that is only added is none: the old
 * one could still sign what the dropped files would have refused.
 */
export function isRotated(previous: Root, next: Root, role: TopLevelRole): boolean {
  const kept = keyIdentities(next.keys, next.roles[role]);
  return [...keyIdentities(previous.keys, previous.roles[role])].some((key) => !kept.has(key));
}
