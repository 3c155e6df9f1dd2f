/** The versions of a vendor's roles that nest a role in one of them, change one, or take one back. Pure. */

import { IronError } from '../shared/errors.ts';
import { canonicalText } from '../shared/json/canonical.ts';
import { Node } from '../shared/json/decode.ts';
import { type JsonObject, jsonObject } from '../shared/json/value.ts';
import { BIN_LIMITS } from '../shared/limits.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import { formatInstant, type Instant } from '../shared/time.ts';
import {
  delegationTree,
  keyTable,
  objectMember,
  type RoleSpec,
  targetsTree,
  withFields,
} from '../shared/tuf/build.ts';
import type { DelegatedRole } from '../shared/tuf/delegations.ts';
import { parseDelegations } from '../shared/tuf/delegations.ts';
import { demandNested, Owners, patternsOf } from '../shared/tuf/nested.ts';
import { Targets } from '../shared/tuf/targets.ts';
import { demandReadable } from './next-role.ts';
import type { RoleToSign } from './sign-below.ts';
import { entriesOf } from './split-role.ts';

/** A role as it is to be nested. */
export interface Nesting extends RoleSpec {
  readonly role: string;
  readonly paths: readonly string[];
}

export interface NestInput {
  /** The role in which it is nested: the vendor's own, or one that is nested itself. */
  readonly parent: string;
  /** What is published of that role. */
  readonly base: Targets;
  /** Patterns that are delegated to it. */
  readonly within: readonly string[];
  /** The published roles that are nested in it, by name. */
  readonly nested: ReadonlyMap<string, Targets>;
  /** Nested anew, or otherwise than before; */
  readonly nest?: Nesting | undefined;
  /** or the name of one that is taken back. */
  readonly unnest?: string | undefined;
  readonly expires: Instant;
  /** The version that the snapshot lists of a role, 0 for none: it is never begun anew. */
  readonly listed: (role: string) => number;
}

/** What is signed: the role that delegates, and the nested roles that change with it. */
export interface Nested {
  readonly own: JsonObject;
  readonly below: ReadonlyMap<string, RoleToSign>;
  /** Entries that stand in another role than before. */
  readonly moved: number;
}

/**
 * Gives every entry to the role that speaks for its path afterwards. `E_NAME`, `E_DELEGATION`,
 * `E_THRESHOLD`, `E_QUOTA` for what may not be delegated, `E_TOO_LARGE` when no file could hold it.
 */
export function renest(input: NestInput): Nested {
  const { parent, base, within, nested, nest, unnest, expires, listed } = input;
  const roles = nextRoles(base, nest, unnest);
  const delegations = roles.length === 0 ? undefined : delegationsOf(base, roles, nest);
  const parsed = delegations && parseDelegations(new Node(delegations, 'delegations'));
  if (parsed !== undefined) demandNested(parent, parsed, within);
  const owners = new Owners(crypto, parent, new Targets(base, parsed));

  const contents = new Map<string, Map<string, JsonObject>>();
  const changed = new Set(nest === undefined ? [] : [nest.role]);
  let moved = 0;
  for (const [before, file] of [[parent, base], ...nested] as [string, Targets][]) {
    for (const [path, entry] of entriesOf(file)) {
      const after = owners.of(path);
      contents.set(after, (contents.get(after) ?? new Map<string, JsonObject>()).set(path, entry));
      if (after === before) continue;
      for (const role of [before, after]) changed.add(role);
      moved += 1;
    }
  }
  if (moved > BIN_LIMITS.moved) throw tooMany(moved);
  for (const [role, file] of nested)
    if (file.delegations !== undefined && (moved > 0 || role === unnest)) throw delegatesOn(role);
  const below = new Map<string, RoleToSign>();
  for (const keys of parsed?.roles ?? []) {
    const role = keys.name;
    if (!changed.has(role)) continue;
    const targets = contents.get(role) ?? new Map<string, JsonObject>();
    const delegations = nested.get(role)?.envelope.tree.delegations as JsonObject | undefined;
    const tree = targetsTree(listed(role) + 1, expires, { targets, delegations });
    demandReadable(tree);
    below.set(role, { tree, keys });
  }
  const own = ownTree(base, contents.get(parent) ?? new Map(), delegations, expires);
  return { own, below, moved };
}

/** Names and patterns of the roles that are nested afterwards, in their order. */
function nextRoles(
  { delegations }: Targets,
  nest: Nesting | undefined,
  unnest: string | undefined,
): readonly string[] {
  const names = (delegations?.roles ?? [])
    .map(({ name }) => name)
    .filter((name) => name !== unnest);
  return nest === undefined || names.includes(nest.role) ? names : [...names, nest.role];
}

/** What is not changed stays as it came. */
function delegationsOf(
  base: Targets,
  roles: readonly string[],
  nest: Nesting | undefined,
): JsonObject {
  const before = objectMember(base.envelope.tree, 'delegations');
  const trees = new Map(
    (base.delegations?.roles ?? []).map((role, i) => [
      role.name,
      { role, tree: (before.roles as readonly JsonObject[])[i] as JsonObject },
    ]),
  );
  const kept = roles.filter((name) => name !== nest?.role).map((name) => trees.get(name));
  const ids = new Set(kept.flatMap((one) => one?.role.keyids ?? []));
  const keys = Object.entries(objectMember(before, 'keys')).filter(([id]) => ids.has(id));
  const added = nest === undefined ? [] : Object.entries(keyTable(crypto, nest.keys));
  return jsonObject([
    ['keys', jsonObject(new Map([...keys, ...added]))],
    [
      'roles',
      roles.map((name) =>
        name === nest?.role
          ? delegationTree(crypto, name, nest, nest.paths, true)
          : (trees.get(name)?.tree ?? jsonObject([])),
      ),
    ],
  ]);
}

function ownTree(
  base: Targets,
  targets: ReadonlyMap<string, JsonObject>,
  delegations: JsonObject | undefined,
  expires: Instant,
): JsonObject {
  const fields = Object.entries(base.envelope.tree).filter(([name]) => name !== 'delegations');
  const own = withFields(jsonObject(fields), {
    version: base.version + 1,
    expires: formatInstant(expires),
    targets: jsonObject(targets),
    ...(delegations === undefined ? {} : { delegations }),
  });
  demandReadable(own);
  return own;
}

/** Whether a role is nested just so already. */
export function isNestedSo(before: DelegatedRole | undefined, nest: Nesting): boolean {
  if (before === undefined) return false;
  const { name, keyids, threshold } = before;
  const was = delegationTree(crypto, name, nest, patternsOf(before), true);
  const is = delegationTree(crypto, name, nest, nest.paths, true);
  const ids = (is.keyids as readonly string[]).toSorted().join();
  return (
    canonicalText(was) === canonicalText(is) &&
    keyids.toSorted().join() === ids &&
    threshold === nest.threshold
  );
}

/** Its entries stand in roles below it, which would have to move with it. */
function delegatesOn(role: string): IronError {
  const name = role.slice(role.indexOf('.') + 1);
  return new IronError('E_DELEGATION', `${role} delegates on, to roles of its own`, {
    why: 'what stands in them would have to move with it',
    hint: `nothing was signed; \`ironport unnest ${name}.…\`, or \`ironport split --role ${name} --bins 1\`, takes that back first`,
    context: { role },
  });
}

function tooMany(moved: number): IronError {
  return new IronError('E_TOO_LARGE', `${moved} targets are too many to move at once`, {
    why: `at most ${BIN_LIMITS.moved} are moved together`,
    hint: 'nothing was signed; nest the role for fewer paths',
  });
}
