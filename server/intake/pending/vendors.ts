/** Roles of a vendor that lack signatures: its own, and those nested in it. */

import { toHex } from '../../../shared/bytes.ts';
import type { Crypto } from '../../../shared/crypto/crypto.ts';
import { IronError } from '../../../shared/errors.ts';
import type { Instant } from '../../../shared/time.ts';
import { keysBelow } from '../../../shared/tuf/nested.ts';
import type { Demand } from '../../../shared/tuf/standing.ts';
import { parseTargets, type Targets } from '../../../shared/tuf/targets.ts';
import type { Published } from '../../storage/published.ts';
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
  const standing = (await published.role(vendor))?.targets;
  const parsed = own && parseTargets(own.bytes, vendor);
  const below = nested.map(({ role, bytes }) => belowOf(shelves.crypto, vendor, role, bytes));
  for (const { role, bytes } of files)
    demandNextOf(role, parseTargets(bytes, role).version, published.version(role));
  const submission = { vendor, role: vendor, bytes: own?.bytes, below };
  const { verdicts } = await examine(shelves, published, submission, now);
  const failed = verdicts.find(({ ok, check }) => !ok && !isThreshold(check));
  if (failed !== undefined) {
    throw new IronError(failed.code ?? 'E_POLICY', failed.detail, {
      why: `the check "${failed.check}" refused`,
      hint: 'nothing was changed; no further signature would help it',
    });
  }
  return files.map(({ role, bytes }) => {
    const { version, expires, envelope } = parseTargets(bytes, role);
    const demand =
      role === vendor
        ? ownDemand(published, vendor)
        : demandBelow(parsed ?? standing, vendor, role);
    // Whoever opens a draft has a key that is published today: not one that it would bring.
    const today = role === vendor ? demand : publishedDemand(standing, vendor, role);
    const about = { role, version, expires, bytes, envelope };
    const wanted = { ...about, demands: [demand], also: [], standing: today };
    return collectedRole(shelves.crypto, wanted);
  });
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

function demandBelow(own: Targets | undefined, vendor: string, role: string): Demand {
  const keys = keysBelow(own, role);
  if (keys === undefined) throw notTheirs(vendor);
  return { by: `the keys of ${role}`, keys: keys.table, role: keys };
}

function publishedDemand(
  standing: Targets | undefined,
  vendor: string,
  role: string,
): Demand | undefined {
  return keysBelow(standing, role) && demandBelow(standing, vendor, role);
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
