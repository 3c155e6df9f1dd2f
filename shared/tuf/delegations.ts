/** Delegations: who else may speak for which paths (TUF 1.0.34 section 4.5, TAP 15). */

import { toHex, utf8 } from '../bytes.ts';
import type { Crypto } from '../crypto/crypto.ts';
import type { Node } from '../json/decode.ts';
import { isTopLevelRole } from './names.ts';
import { type Effort, patternMatcher } from './path-pattern.ts';
import { type KeyTable, parseKeyTable, parseRoleKeys, type RoleKeys } from './role.ts';

/** Keys of a role together with the table that they stand in: no other file's ids mean the same. */
export interface DelegatedKeys extends RoleKeys {
  readonly table: KeyTable;
}

export interface DelegatedRole extends DelegatedKeys {
  readonly name: string;
  readonly terminating: boolean;
  readonly scope:
    | { readonly paths: readonly string[] }
    | { readonly hashPrefixes: readonly string[] };
}

/** Hash bins that are described instead of listed (TAP 15). */
export interface SuccinctRoles extends DelegatedKeys {
  readonly bitLength: number;
  readonly namePrefix: string;
}

export interface Delegations {
  readonly keys: KeyTable;
  /** In order of precedence. Empty when `succinct` is there. */
  readonly roles: readonly DelegatedRole[];
  readonly succinct: SuccinctRoles | undefined;
}

export function parseDelegations(node: Node): Delegations {
  const table = parseKeyTable(node.get('keys'));
  const listed = node.maybe('roles');
  const described = node.maybe('succinct_roles');
  // TAP 15: exactly one of the two.
  if ((listed === undefined) === (described === undefined)) {
    throw node.error('exactly one of "roles" and "succinct_roles" is expected');
  }
  const roles = (listed?.items() ?? []).map((item) => parseDelegatedRole(item, table));
  if (new Set(roles.map((role) => role.name)).size !== roles.length)
    throw node.error('a role stands twice');
  const succinct = described === undefined ? undefined : parseSuccinct(described, table);
  return { keys: table, roles, succinct };
}

function parseDelegatedRole(node: Node, table: KeyTable): DelegatedRole {
  const name = node.get('name').string();
  // A delegation to a top-level name would give its bearer two thresholds to choose from.
  if (name === '' || isTopLevelRole(name))
    throw node.error('a delegated role cannot have this name');
  const paths = node.maybe('paths');
  const prefixes = node.maybe('path_hash_prefixes');
  // TUF 4.5: exactly one of the two.
  if ((paths === undefined) === (prefixes === undefined)) {
    throw node.error('exactly one of "paths" and "path_hash_prefixes" is expected');
  }
  const texts = ((paths ?? prefixes) as Node).items().map((item) => item.string());
  return {
    ...parseRoleKeys(node),
    table,
    name,
    terminating: node.maybe('terminating')?.boolean() ?? false,
    scope: paths === undefined ? { hashPrefixes: texts } : { paths: texts },
  };
}

function parseSuccinct(node: Node, table: KeyTable): SuccinctRoles {
  const namePrefix = node.get('name_prefix').string();
  if (namePrefix === '') throw node.get('name_prefix').error('a prefix is expected');
  // TAP 15: 1 to 32 bits.
  const bitLength = node.get('bit_length').integer(1, 32);
  return { ...parseRoleKeys(node), table, bitLength, namePrefix };
}

/** A step of the walk: a role that may list `path`, with the keys that must have signed it. */
export interface Edge {
  readonly role: string;
  readonly keys: DelegatedKeys;
  readonly terminating: boolean;
}

/** The roles to which these delegations send `path`, in order of precedence (TUF 5.6.7.2). */
export function edgesFor(
  crypto: Crypto,
  delegations: Delegations,
  path: string,
  effort?: Effort,
): Edge[] {
  const { succinct } = delegations;
  const needsHash =
    succinct !== undefined || delegations.roles.some((role) => 'hashPrefixes' in role.scope);
  const hash = needsHash ? toHex(crypto.sha256(utf8(path))) : '';
  // TAP 15: the bin is named by the first bits of the hash, and the search ends there.
  if (succinct !== undefined)
    return [{ role: binName(succinct, hash), keys: succinct, terminating: true }];
  const matches = patternMatcher(path, effort);
  return delegations.roles
    .filter(({ scope }) =>
      'paths' in scope
        ? scope.paths.some(matches)
        : scope.hashPrefixes.some((prefix) => hash.startsWith(prefix)),
    )
    .map((role) => ({ role: role.name, keys: role, terminating: role.terminating }));
}

/** The bin that alone may list `path` (TAP 15). */
export function binFor(crypto: Crypto, succinct: SuccinctRoles, path: string): string {
  return binName(succinct, toHex(crypto.sha256(utf8(path))));
}

/** Whether a role of this name is one of the bins. */
export function isBin({ namePrefix, bitLength }: SuccinctRoles, role: string): boolean {
  const number = role.startsWith(`${namePrefix}-`) ? role.slice(namePrefix.length + 1) : '';
  return (
    /^[0-9a-f]+$/.test(number) &&
    number.length === Math.ceil(bitLength / 4) &&
    Number.parseInt(number, 16) < 2 ** bitLength
  );
}

/** TAP 15: prefix, `-`, and the bin's number in hexadecimal of fixed width. */
function binName(succinct: SuccinctRoles, hash: string): string {
  return nameOfBin(succinct, Number.parseInt(hash.slice(0, 8), 16) >>> (32 - succinct.bitLength));
}

/** All bins, in order: 2 to the power of the bit length, so bound that first. */
export function binNames(succinct: SuccinctRoles): string[] {
  return Array.from({ length: 2 ** succinct.bitLength }, (_, bin) => nameOfBin(succinct, bin));
}

function nameOfBin({ namePrefix, bitLength }: SuccinctRoles, bin: number): string {
  return `${namePrefix}-${bin.toString(16).padStart(Math.ceil(bitLength / 4), '0')}`;
}
