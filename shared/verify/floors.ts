/** Version floors: what was once trusted, kept apart from the files so that it outlives them. */

import { utf8 } from '../bytes.ts';
import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import { jsonObject } from '../json/value.ts';
import { STORE_LIMITS } from '../limits.ts';
import {
  parseRevocationFloors,
  type RevocationFloors,
  raiseRevocationFloors,
  revocationFloorsObject,
} from '../revocation/floors.ts';
import { formatInstant, type Instant } from '../time.ts';

/** Lowest versions that are still acceptable; 0 where nothing was trusted yet. */
export interface Floors {
  readonly root: number;
  readonly timestamp: number;
  readonly snapshot: number;
  /** What the last trusted snapshot listed, by role. */
  readonly roles: ReadonlyMap<string, number>;
  /** The time floor (time-floor.ts), where one is kept; 0 when no fresh timestamp was seen yet. */
  readonly time?: Instant;
  /** What was learnt of revocations; absent while nothing was. */
  readonly revocations?: RevocationFloors | undefined;
}

export const NO_FLOORS: Floors = { root: 0, timestamp: 0, snapshot: 0, roles: new Map() };

const SCHEMA = 'ironport.floors/v1';

/** Reads a floors file of this host. A damaged one is an error: floors are never guessed. */
export function parseFloors(bytes: Uint8Array): Floors {
  const node = new Node(parseJson(bytes, { length: STORE_LIMITS.floors }), 'floors');
  node
    .only('schema', 'root', 'timestamp', 'snapshot', 'roles', 'time', 'revocations')
    .get('schema')
    .oneOf(SCHEMA);
  const time = node.maybe('time')?.instant();
  const revocations = node.maybe('revocations');
  return {
    ...(time === undefined ? {} : { time }),
    root: node.get('root').integer(0),
    timestamp: node.get('timestamp').integer(0),
    snapshot: node.get('snapshot').integer(0),
    roles: parseRoles(node.get('roles')),
    ...(revocations === undefined ? {} : { revocations: parseRevocationFloors(revocations) }),
  };
}

function parseRoles(node: Node): ReadonlyMap<string, number> {
  const roles = new Map<string, number>();
  const versions = node.object();
  for (const role of Object.keys(versions)) {
    const version = versions[role];
    const isPlain = typeof version === 'number' && Number.isSafeInteger(version) && version >= 1;
    roles.set(role, isPlain ? version : node.get(role).integer(1));
  }
  return roles;
}

export function formatFloors(floors: Floors): Uint8Array {
  const { root, timestamp, snapshot } = floors;
  const time = floors.time === undefined ? {} : { time: formatInstant(floors.time) };
  const roles = jsonObject(floors.roles);
  const revocations =
    floors.revocations === undefined ? undefined : revocationFloorsObject(floors.revocations);
  const fields = { schema: SCHEMA, ...time, root, timestamp, snapshot, roles, revocations };
  return utf8(`${JSON.stringify(fields)}\n`);
}

/** The higher of each two floors. */
export function raiseFloors(a: Floors, b: Floors): Floors {
  const isKept = a.time !== undefined || b.time !== undefined;
  const revocations = raiseRevocationFloors(a.revocations, b.revocations);
  return {
    ...(isKept ? { time: Math.max(a.time ?? 0, b.time ?? 0) } : {}),
    root: Math.max(a.root, b.root),
    timestamp: Math.max(a.timestamp, b.timestamp),
    snapshot: Math.max(a.snapshot, b.snapshot),
    roles: raiseRoles(a.roles, b.roles),
    ...(revocations === undefined ? {} : { revocations }),
  };
}

/** Neither map is changed, so one that adds nothing to the other need not be copied. */
function raiseRoles(a: Floors['roles'], b: Floors['roles']): Floors['roles'] {
  if (b.size === 0) return a;
  if (a.size === 0) return b;
  const roles = new Map(a);
  for (const [role, version] of b) {
    const floor = a.get(role);
    if (floor === undefined || floor < version) roles.set(role, version);
  }
  return roles;
}
