/** Roles of a vendor that lack signatures: its own, and those nested in it. */

import { toHex } from '../../../shared/bytes.ts';
import type { Crypto } from '../../../shared/crypto/crypto.ts';
import { IronError } from '../../../shared/errors.ts';
import type { Instant } from '../../../shared/time.ts';
import { BranchWalk } from '../../../shared/tuf/branch-walk.ts';
import type { Demand } from '../../../shared/tuf/standing.ts';
import { parseTargets, type Targets } from '../../../shared/tuf/targets.ts';
import type { Published } from '../../storage/published.ts';
import { Branch } from '../branch.ts';
import { examine, type Shelves } from '../examine.ts';
import { type Collected, collectedRole } from './wanted.ts';

/** A role file with what it claims to be. */
export interface RoleFile {
  readonly role: string;
  readonly bytes: Uint8Array;
}

/** The vendor's own role among them, and the others. */
export function sortRoles(
  vendor: string,
  files: readonly RoleFile[],
): { readonly own: RoleFile | undefined; readonly nested: readonly RoleFile[] } {
  const own = files.find(({ role }) => role === vendor);
  return { own, nested: files.filter((file) => file !== own) };
}

/**
 * What the roles need. Refuses at once what no signature can help: every check of the roles
 * themselves but the number of signatures must hold. Their artifacts, and the evidence, are judged in
 * the end.
 */
export async function wantedOfVendor(
  shelves: Shelves,
  published: Published,
  { vendor, files }: { readonly vendor: string; readonly files: readonly RoleFile[] },
  now: Instant,
): Promise<Collected[]> {
  const { own, nested } = sortRoles(vendor, files);
  const standing = new Branch(shelves.crypto, published, vendor);
  const brought = new Map(files.map(({ role, bytes }) => [role, parseTargets(bytes, role)]));
  const after = new BranchWalk(
    shelves.crypto,
    vendor,
    async (role) => brought.get(role) ?? (await standing.read(role)),
  );
  const below = nested.map(({ role, bytes }) => belowOf(shelves.crypto, vendor, role, bytes));
  for (const [role, { version }] of brought) demandNextOf(role, version, published.version(role));
  const submission = { vendor, role: vendor, bytes: own?.bytes, below };
  const { verdicts } = await examine(shelves, published, submission, now);
  const failed = verdicts.find(({ ok, check }) => !ok && !isThreshold(check));
  if (failed !== undefined) {
    throw new IronError(failed.code ?? 'E_POLICY', failed.detail, {
      why: `the check "${failed.check}" refused`,
      hint: 'nothing was changed; no further signature would help it',
    });
  }
  const wanted: Collected[] = [];
  for (const { role, bytes } of files) {
    const { version, expires, envelope } = brought.get(role) as Targets;
    const demand = role === vendor ? ownDemand(published, vendor) : await demandBelow(after, role);
    if (demand === undefined) throw notTheirs(vendor);
    // Whoever opens a draft has a key that is published today: not one that it would bring.
    const today = role === vendor ? demand : await demandBelow(standing, role);
    const about = { role, version, expires, bytes, envelope };
    const file = { ...about, demands: [demand], also: [], standing: today };
    wanted.push(collectedRole(shelves.crypto, file));
  }
  return wanted;
}

const isThreshold = (check: string): boolean =>
  check === 'threshold' || check.endsWith(': threshold');

function belowOf(crypto: Crypto, vendor: string, role: string, bytes: Uint8Array) {
  if (!role.startsWith(`${vendor}.`)) throw notTheirs(vendor);
  return { role, bytes, sha256: toHex(crypto.sha256(bytes)) };
}

function ownDemand(published: Published, vendor: string): Demand {
  const delegation = published.delegation(vendor);
  const keys = published.delegations?.keys;
  if (delegation === undefined || keys === undefined) throw notTheirs(vendor);
  return { by: `the keys of ${vendor}`, keys, role: delegation };
}

/** Whose signatures a role below the own one needs; undefined when no delegation leads to it. */
async function demandBelow(branch: BranchWalk, role: string): Promise<Demand | undefined> {
  const keys = await branch.keys(role);
  return keys && { by: `the keys of ${role}`, keys: keys.table, role: keys };
}

function notTheirs(vendor: string): IronError {
  return new IronError('E_NOT_AUTHORISED', `${vendor} has no role of this name`, {
    hint: 'nothing was changed',
  });
}

function demandNextOf(role: string, submitted: number, current: number): void {
  if (submitted === current + 1) return;
  throw new IronError(
    'E_CONFLICT',
    `version ${submitted} of ${role} was drafted, and version ${current} stands`,
    {
      why: `the next one must be version ${current + 1}, based on what is published`,
      hint: 'nothing was changed; let it be made again on top of what is published',
      context: { submitted, current },
    },
  );
}
