/** What a root changes: which keys speak for which of the four roles. */

import type { Crypto } from '../../crypto/crypto.ts';
import { objectMember } from '../build.ts';
import { TOP_LEVEL_ROLES, type TopLevelRole } from '../names.ts';
import type { KeyTable } from '../role.ts';
import { isRotated, type Root } from '../root.ts';
import {
  changes,
  gains,
  isSame,
  type Named,
  otherMembers,
  roleKeyNames,
  setDiff,
  type TrustChange,
  thresholdWords,
  warns,
} from './change.ts';

const NOTHING: KeyTable = new Map();

export function rootDiff(crypto: Crypto, before: Root | undefined, after: Root): TrustChange[] {
  const signed = after.envelope.tree;
  const old = before?.envelope.tree;
  return [
    ...TOP_LEVEL_ROLES.flatMap((role) => roleDiff(crypto, before, after, role)),
    ...onlineWarnings(crypto, after),
    ...dropWarning(before, after),
    ...(old !== undefined && !isSame(old.consistent_snapshot, signed.consistent_snapshot)
      ? [changes(`consistent snapshots are ${after.consistentSnapshot ? 'on' : 'off'} from now on`)]
      : []),
    ...otherMembers(old, signed, [
      '_type',
      'version',
      'expires',
      'consistent_snapshot',
      'keys',
      'roles',
      ...(old === undefined ? ['spec_version'] : []),
    ]),
    ...otherMembers(
      old && objectMember(old, 'roles'),
      objectMember(signed, 'roles'),
      TOP_LEVEL_ROLES,
      'roles.',
    ),
  ];
}

function roleDiff(
  crypto: Crypto,
  before: Root | undefined,
  after: Root,
  role: TopLevelRole,
): TrustChange[] {
  const now = roleKeyNames(crypto, after.keys, after.roles[role]);
  const then = roleKeyNames(crypto, before?.keys ?? NOTHING, before?.roles[role]);
  const list = setDiff(
    then,
    now,
    (key) => `the key ${key} may sign ${role}`,
    (key) => `the key ${key} may no longer sign ${role}`,
  );
  const words = thresholdWords(after.roles[role], now);
  if (before === undefined) return [...list, gains(`${role} needs ${words} signatures`)];
  const was = thresholdWords(before.roles[role], then);
  if (words !== was) list.push(changes(`${role} needs ${words} signatures, where it was ${was}`));
  return list;
}

/** A key that lies on the service must not be one that the offline roles count. */
function onlineWarnings(crypto: Crypto, root: Root): TrustChange[] {
  const names = (role: TopLevelRole): Named => roleKeyNames(crypto, root.keys, root.roles[role]);
  const offline = new Map([...names('root'), ...names('targets')]);
  const online = new Map([...names('snapshot'), ...names('timestamp')]);
  return [...online]
    .filter(([id]) => offline.has(id))
    .map(([, key]) => warns(`the key ${key} lies on the service and may sign root or targets too`));
}

function dropWarning(before: Root | undefined, after: Root): TrustChange[] {
  if (before === undefined) return [];
  const rotated = (['timestamp', 'snapshot'] as const).filter((role) =>
    isRotated(before, after, role),
  );
  return rotated.length === 0
    ? []
    : // TUF 5.3.11: that is what recovers from a fast-forward attack, and what opens a rollback.
      [changes('hosts that take this root drop the timestamp and the snapshot that they trusted')];
}
