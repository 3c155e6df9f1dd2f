/**
 * Whether something is revoked: a pure comparison of what a verdict rests on with what is in force.
 * Client and preflight ask it of an artifact that arrives, the agent also of what it accepted long
 * ago, under the newest list that it knows.
 */

import { IronError } from '../errors.ts';
import type { RevocationFloors } from './floors.ts';
import type { RevocationList } from './list.ts';

/** Signatures that something rests on. */
export interface Quorum {
  /** In words, for refusals: `the role acme`. */
  readonly what: string;
  /** Ids, as this project computes them, of the distinct keys that signed. */
  readonly keyids: readonly string[];
  /** How many of them it takes. */
  readonly threshold: number;
}

/** What an artifact is known by. */
export interface RevocationSubject {
  readonly path: string;
  readonly sha256: string;
  /** `vendor/product`. */
  readonly component: string;
  readonly generation: number;
  /** Digests of the files beside it that vouch for it. */
  readonly beside: readonly string[];
  readonly quorums: readonly Quorum[];
}

export type RevokedReason = 'digest' | 'generation' | 'key';

export interface Revoked {
  readonly reason: RevokedReason;
  readonly what: string;
  /** The reason that was given with the revocation. */
  readonly why: string;
}

/** What is in force: the list, if there is one, and what vendors said of their own products. */
export interface RevocationsInForce {
  readonly list: RevocationList | undefined;
  readonly floors: RevocationFloors | undefined;
}

/** Why `subject` is revoked, or undefined. */
export function findRevocation(
  { list, floors }: RevocationsInForce,
  subject: RevocationSubject,
): Revoked | undefined {
  for (const sha256 of [subject.sha256, ...subject.beside]) {
    const denied = list?.digests.get(sha256);
    if (denied === undefined) continue;
    const file = sha256 === subject.sha256 ? subject.path : `a file beside ${subject.path}`;
    return { reason: 'digest', what: `${file}, SHA-256 ${sha256}, is denied`, why: denied.reason };
  }
  return findFloor({ list, floors }, subject) ?? findKeys(list, subject);
}

function findFloor(
  { list, floors }: RevocationsInForce,
  { component, generation }: RevocationSubject,
): Revoked | undefined {
  const named = list?.floors.get(component);
  const own = floors?.vendors.get(component) ?? 0;
  const floor = Math.max(named?.generation ?? 0, own);
  if (generation >= floor) return undefined;
  return {
    reason: 'generation',
    what: `its security generation is ${generation}, and of ${component} nothing below ${floor} is used`,
    why: named?.generation === floor ? named.reason : 'its vendor raised the floor',
  };
}

function findKeys(
  list: RevocationList | undefined,
  { quorums, sha256 }: RevocationSubject,
): Revoked | undefined {
  if (list === undefined) return undefined;
  for (const { what, keyids, threshold } of quorums) {
    // A denied key counts nowhere, but for the artifacts that its denial names.
    const denied = keyids.filter(
      (keyid) => list.keys.get(keyid)?.allowed.includes(sha256) === false,
    );
    const [first] = denied;
    if (first === undefined || keyids.length - denied.length >= threshold) continue;
    return {
      reason: 'key',
      what: `${what} rests on the denied key ${first}`,
      why: list.keys.get(first)?.reason ?? '',
    };
  }
  return undefined;
}

/** Whether the list denies the key for the artifact with this digest. */
export function isDeniedKey(
  list: RevocationList | undefined,
  keyid: string,
  sha256: string,
): boolean {
  return list?.keys.get(keyid)?.allowed.includes(sha256) === false;
}

/** `E_REVOKED` when it is; `hint` is for those who do not only use it. */
export function requireNotRevoked(
  inForce: RevocationsInForce,
  subject: RevocationSubject,
  hint?: string,
): void {
  const revoked = findRevocation(inForce, subject);
  if (revoked !== undefined) throw revokedError(subject.path, revoked, hint);
}

export function revokedError(
  path: string,
  { reason, what, why }: Revoked,
  hint = 'nothing was changed; take a newer version, or ask the vendor and the security team of the repository',
): IronError {
  return new IronError('E_REVOKED', `${path} is revoked: ${what}`, {
    why,
    hint,
    context: { reason, path },
  });
}
