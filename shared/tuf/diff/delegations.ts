/** What a targets file changes about delegations: who else may publish which paths. */

import type { Crypto } from '../../crypto/crypto.ts';
import type { DelegatedRole, Delegations } from '../delegations.ts';
import type { KeyTable } from '../role.ts';
import {
  changes,
  gains,
  loses,
  type Named,
  roleKeyNames,
  setDiff,
  type TrustChange,
  thresholdWords,
} from './change.ts';

const NOTHING: KeyTable = new Map();

export function delegationsDiff(
  crypto: Crypto,
  before: Delegations | undefined,
  after: Delegations | undefined,
): TrustChange[] {
  const then = new Map(before?.roles.map((role) => [role.name, role]));
  const now = new Map(after?.roles.map((role) => [role.name, role]));
  const list: TrustChange[] = [];
  for (const [name, role] of then) {
    if (!now.has(name)) list.push(loses(`${name} may no longer publish ${scopeWords(role)}`));
  }
  for (const [name, role] of now) {
    const old = then.get(name);
    const keys = after?.keys ?? NOTHING;
    if (old === undefined) list.push(gains(newRole(crypto, keys, role)));
    else list.push(...roleDiff(crypto, before?.keys ?? NOTHING, old, keys, role));
  }
  return [...list, ...orderDiff(then, now), ...binsDiff(crypto, before, after)];
}

function newRole(crypto: Crypto, table: KeyTable, role: DelegatedRole): string {
  const keys = roleKeyNames(crypto, table, role);
  const signers = [...keys.values()].join(', ');
  const end = role.terminating ? '; nobody after it is asked about these' : '';
  return `${role.name} may publish ${scopeWords(role)}, signed by ${thresholdWords(role, keys)} of: ${signers}${end}`;
}

function roleDiff(
  crypto: Crypto,
  oldTable: KeyTable,
  old: DelegatedRole,
  table: KeyTable,
  role: DelegatedRole,
): TrustChange[] {
  const { name } = role;
  const then = roleKeyNames(crypto, oldTable, old);
  const now = roleKeyNames(crypto, table, role);
  const list = [
    ...setDiff(
      scopeNames(old),
      scopeNames(role),
      (scope) => `${name} may publish ${scope}`,
      (scope) => `${name} may no longer publish ${scope}`,
    ),
    ...setDiff(
      then,
      now,
      (key) => `the key ${key} may sign for ${name}`,
      (key) => `the key ${key} may no longer sign for ${name}`,
    ),
  ];
  const [words, was] = [thresholdWords(role, now), thresholdWords(old, then)];
  if (words !== was) list.push(changes(`${name} needs ${words} signatures, where it was ${was}`));
  if (role.terminating !== old.terminating) {
    const who = role.terminating ? 'nobody after it is' : 'who comes after it is';
    list.push(changes(`${name}: ${who} asked about its paths from now on`));
  }
  return list;
}

function scopeNames({ scope }: DelegatedRole): Named {
  return 'paths' in scope
    ? new Map(scope.paths.map((path) => [`path ${path}`, path]))
    : new Map(
        scope.hashPrefixes.map((hash) => [`hash ${hash}`, `paths whose hash begins ${hash}`]),
      );
}

function scopeWords(role: DelegatedRole): string {
  return [...scopeNames(role).values()].join(', ') || 'nothing';
}

/** Who is asked first decides where two may speak for one path. */
function orderDiff(
  then: ReadonlyMap<string, DelegatedRole>,
  now: ReadonlyMap<string, DelegatedRole>,
): TrustChange[] {
  const stayed = [...now.keys()].filter((name) => then.has(name));
  const was = [...then.keys()].filter((name) => now.has(name));
  const isReordered = stayed.some((name, i) => name !== was[i]);
  const last = stayed.at(-1);
  const names = [...now.keys()];
  const pushedIn =
    last === undefined ? [] : names.slice(0, names.indexOf(last)).filter((name) => !then.has(name));
  return [
    ...(isReordered ? [changes(`roles are asked in another order: ${names.join(', ')}`)] : []),
    ...pushedIn.map((name) => changes(`${name} is asked before ${names[names.indexOf(name) + 1]}`)),
  ];
}

/** TAP 15. A role has bins or lists roles; both ways round it is said in full. */
function binsDiff(
  crypto: Crypto,
  before: Delegations | undefined,
  after: Delegations | undefined,
): TrustChange[] {
  const words = (delegations: Delegations | undefined): string | undefined => {
    const bins = delegations?.succinct;
    if (delegations === undefined || bins === undefined) return undefined;
    const keys = roleKeyNames(crypto, delegations.keys, bins);
    return `the ${2 ** bins.bitLength} bins ${bins.namePrefix}-*, signed by ${thresholdWords(bins, keys)} of: ${[...keys.values()].join(', ')}`;
  };
  const [was, is] = [words(before), words(after)];
  if (was === is) return [];
  return [
    ...(was === undefined ? [] : [loses(`no longer delegated to: ${was}`)]),
    ...(is === undefined ? [] : [gains(`delegated from now on to: ${is}`)]),
  ];
}
