/** The first root and the first targets: who may sign what, from the beginning. Pure. */

import type { Crypto } from '../../shared/crypto/crypto.ts';
import { keyIdentity, type PublicKey } from '../../shared/crypto/key.ts';
import { IronError } from '../../shared/errors.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import type { Instant } from '../../shared/time.ts';
import { type RoleSpec, rootTree, targetsTree } from '../../shared/tuf/build.ts';
import { keyWords } from '../../shared/tuf/diff/change.ts';
import { EXTENSION_FIELD, vendorsField } from '../../shared/tuf/vendors.ts';
import { withRevocations } from './revocations.ts';

export interface SetUp {
  readonly root: RoleSpec;
  readonly targets: RoleSpec;
  /** The service's: their public halves are all that a ceremony needs. */
  readonly snapshot: PublicKey;
  readonly timestamp: PublicKey;
  /** The security team, and the hot key that renews its list on a machine of its own. */
  readonly revocations?: { readonly team: RoleSpec; readonly renewal: PublicKey } | undefined;
  readonly rootExpires: Instant;
  readonly targetsExpires: Instant;
}

/**
 * Refuses what must not be (`E_USAGE`, `E_KEY`), and returns warnings about what seldom is wise.
 */
export function verifySetUp(crypto: Crypto, setUp: SetUp): string[] {
  for (const role of ['root', 'targets'] as const) requireReachable(role, setUp[role]);
  const offline = new Set([...setUp.root.keys, ...setUp.targets.keys].map(keyIdentity));
  for (const role of ['snapshot', 'timestamp'] as const) {
    // invariant 7: no online key can authorise an artifact.
    if (offline.has(keyIdentity(setUp[role]))) {
      throw new IronError('E_KEY', `the ${role} key is also a key of root or targets`, {
        why: 'it lies on the service: who steals the service would hold an operator key',
        hint: 'nothing was written; make a key of its own with `ironport-repo key make`',
      });
    }
  }
  if (keyIdentity(setUp.snapshot) === keyIdentity(setUp.timestamp))
    throw new IronError('E_KEY', 'snapshot and timestamp have the same key', {
      hint: 'nothing was written; each has a key of its own, so that one can be replaced alone',
    });
  return [
    ...revocationWarnings(setUp),
    ...(['root', 'targets'] as const).flatMap((role) =>
      spareWarnings(role, setUp[role].keys.length, setUp[role].threshold),
    ),
    ...sharedWarnings(crypto, setUp),
  ];
}

/** The hot key may list the team's list: whoever steals it must hold nothing else. `E_KEY`. */
function revocationWarnings({ revocations, ...setUp }: SetUp): string[] {
  if (revocations === undefined) {
    return [
      'no security team was named: nothing can be revoked in this repository until `ironport-repo revocations init` names one',
    ];
  }
  const { team, renewal } = revocations;
  requireReachable('revocations', team);
  const online = new Set([setUp.snapshot, setUp.timestamp, renewal].map(keyIdentity));
  const offline = [...setUp.root.keys, ...setUp.targets.keys, ...team.keys];
  if (online.size === 3 && !offline.some((key) => online.has(keyIdentity(key))))
    return spareWarnings('revocations', team.keys.length, team.threshold);
  throw new IronError('E_KEY', 'a key of snapshot, timestamp or renewal has another part as well', {
    why: 'these keys lie on machines that are always on: who steals one must gain nothing else',
    hint: 'nothing was written; make a key of its own for each with `ironport-repo key make`',
  });
}

/** TUF 4.3: a threshold of at least one, that the keys there are can meet. */
function requireReachable(role: string, { keys, threshold }: RoleSpec): void {
  if (keys.length === 0) throw new IronError('E_USAGE', `${role} has no key`);
  if (threshold < 1 || threshold > keys.length) {
    throw new IronError('E_USAGE', `${threshold} of ${keys.length} keys can never sign ${role}`, {
      hint: `nothing was written; the threshold is from 1 to ${keys.length}`,
    });
  }
}

/** A threshold that leaves no key to spare makes each key one that must never be lost. */
export function spareWarnings(role: string, keys: number, threshold: number): string[] {
  if (threshold < keys) return [];
  const every = keys === 1 ? 'its one key' : `every one of its ${keys} keys`;
  const then =
    role === 'root'
      ? 'no root can ever be signed again, and every host must be given a new root by hand'
      : `no ${role} can be signed until ${role === 'targets' ? 'the root names' : 'root and targets name'} another key`;
  return [`${role} needs ${every}: if one is lost, ${then}`];
}

function sharedWarnings(crypto: Crypto, { root, targets }: SetUp): string[] {
  const rootKeys = new Set(root.keys.map(keyIdentity));
  return targets.keys
    .filter((key) => rootKeys.has(keyIdentity(key)))
    .map(
      (key) => `the key ${keyWords(crypto, key)} signs root and targets: one theft reaches both`,
    );
}

/** The signed parts of `1.root.json` and `1.targets.json`. The first targets admit nobody yet. */
export function setUpTrees(
  crypto: Crypto,
  setUp: SetUp,
): { root: JsonObject; targets: JsonObject } {
  const { root, targets, snapshot, timestamp } = setUp;
  return {
    root: rootTree(crypto, 1, setUp.rootExpires, {
      root,
      targets,
      snapshot: { keys: [snapshot], threshold: 1 },
      timestamp: { keys: [timestamp], threshold: 1 },
    }),
    targets: firstTargets(crypto, setUp),
  };
}

function firstTargets(crypto: Crypto, { targetsExpires, revocations }: SetUp): JsonObject {
  const nobody = targetsTree(1, targetsExpires, {
    targets: new Map(),
    delegations: jsonObject([
      ['keys', jsonObject([])],
      ['roles', []],
    ]),
    extra: jsonObject([[EXTENSION_FIELD, vendorsField([])]]),
  });
  if (revocations === undefined) return nobody;
  const trust = { epoch: 1, ...revocations.team };
  return withRevocations(crypto, nobody, trust, revocations.renewal);
}

/** The set-up in words: who may sign what. */
export function setUpText(crypto: Crypto, setUp: SetUp): string {
  const keys = (role: RoleSpec): string[] => role.keys.map((key) => `    ${keyWords(crypto, key)}`);
  const { root, targets, snapshot, timestamp } = setUp;
  return [
    `root, which says who signs everything else, takes ${root.threshold} of ${root.keys.length} keys, kept offline:`,
    ...keys(root),
    `targets, which admits vendors, takes ${targets.threshold} of ${targets.keys.length} keys, kept offline:`,
    ...keys(targets),
    'snapshot and timestamp take one key each, kept by the service; they can authorise no artifact:',
    `    ${keyWords(crypto, snapshot)} for snapshot`,
    `    ${keyWords(crypto, timestamp)} for timestamp`,
    ...revocationText(crypto, setUp),
  ].join('\n');
}

function revocationText(crypto: Crypto, { revocations }: SetUp): string[] {
  if (revocations === undefined) return [];
  const { team, renewal } = revocations;
  return [
    `revocations, which say what counts no more, take ${team.threshold} of ${team.keys.length} keys of the security team, kept offline:`,
    ...team.keys.map((key) => `    ${keyWords(crypto, key)}`),
    'a timer renews their list with a key of its own, which can withhold it and change nothing in it:',
    `    ${keyWords(crypto, renewal)} for renewal`,
  ];
}
