/**
 * Vendors' roles that come together with the operators' targets: when a vendor's keys are
 * exchanged, the role must be signed with the new ones in the very snapshot in which the targets
 * name them, or no host could verify it in between. Its hash bins are signed by the same keys, and so
 * they come along. None of it may say anything new: what a vendor publishes goes through the checks of
 * its own submissions.
 */

import type { ResignedBin } from '../../shared/api/resigned-role.ts';
import { toHex } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { canonicalText } from '../../shared/json/canonical.ts';
import { isJsonObject, type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { LIFETIMES } from '../../shared/limits.ts';
import type { Instant } from '../../shared/time.ts';
import { objectMember, withFields } from '../../shared/tuf/build.ts';
import { binNames, type DelegatedRole, type SuccinctRoles } from '../../shared/tuf/delegations.ts';
import { demandBins } from '../../shared/tuf/nested.ts';
import {
  type KeyTable,
  keyIdentities,
  type RoleKeys,
  verifyThreshold,
} from '../../shared/tuf/role.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import type { Published } from '../storage/published.ts';
import { readRoleBlob, type Shelves } from './examine.ts';
import { demandLifetime } from './lifetime.ts';
import type { ResignedRole, SignedFile } from './operator-files.ts';

/** A role file, and its bins where it came with them. */
export interface RoleToTake extends SignedFile<Targets> {
  readonly bins?: readonly ResignedBin[];
}

/** Whether a threshold of the keys signed it. */
export function isSigned(
  crypto: Crypto,
  file: Pick<Targets, 'envelope'>,
  keys: KeyTable,
  role: RoleKeys,
): boolean {
  try {
    verifyThreshold(crypto, file.envelope, keys, role, 'the file');
    return true;
  } catch (error) {
    if (isIronError(error, 'E_THRESHOLD')) return false;
    throw error;
  }
}

/**
 * Finds whose role each file is, by the keys that the new targets name for it. `E_THRESHOLD` when
 * it is nobody's, `E_CONFLICT` on a version that does not follow, `E_POLICY` when it says
 * something else than what is published, `E_DELEGATION` when not all bins came along, `E_NOT_FOUND` when
 * one was not uploaded.
 */
export async function verifyResigned(
  shelves: Shelves,
  published: Published | undefined,
  targets: Targets | undefined,
  files: readonly RoleToTake[],
  now: Instant,
): Promise<ResignedRole[]> {
  const { crypto } = shelves;
  const roles: ResignedRole[] = [];
  for (const file of files) {
    const delegations = targets?.delegations;
    const owner = delegations?.roles.find((role) =>
      isSigned(crypto, file.parsed, delegations.keys, role),
    );
    if (published === undefined || owner === undefined || delegations === undefined) {
      throw new IronError(
        'E_THRESHOLD',
        `a targets file ${file.version} is signed by nobody who may`,
        {
          why: 'it is neither the operators’ targets nor a role of a vendor by the keys that they name',
          hint: 'nothing was changed; a role comes together with the targets that name its new keys',
        },
      );
    }
    const { name } = owner;
    if (roles.some(({ role }) => role === name))
      throw new IronError('E_USAGE', `${name} is there twice`);
    const standing = await demandFollows(published, name, file.parsed);
    const isExchanged = demandSame(standing, file.parsed, name, delegations.keys, owner);
    demandLifetime(name, file.parsed, LIFETIMES.vendor, now);
    const { version, bytes, parsed } = file;
    const { expires } = parsed;
    roles.push({ vendor: name, role: name, version, expires, source: { bytes } });
    if (isExchanged || file.bins !== undefined)
      roles.push(...(await verifyBins(shelves, published, file, name, now)));
  }
  return roles;
}

/** What is published of it. */
async function demandFollows(
  published: Published,
  name: string,
  { version }: Targets,
): Promise<Targets> {
  const standing = (await published.role(name))?.targets;
  const listed = published.version(name);
  if (standing !== undefined && version === listed + 1) return standing;
  throw new IronError(
    'E_CONFLICT',
    `${name} ${version} was handed in, and ${name} ${listed} stands`,
    {
      hint: 'nothing was changed; the vendor signs again on top of what is published',
      context: { submitted: version, current: listed },
    },
  );
}

/**
 * It says what is published, but for its date, and for the keys of its bins: these may become keys of
 * the role. Whether they did.
 */
function demandSame(
  standing: Targets,
  file: Targets,
  name: string,
  keys: KeyTable,
  owner: DelegatedRole,
): boolean {
  const [was, is] = [standing, file].map(({ envelope }) => content(envelope.tree));
  if (was === is) return false;
  const { succinct } = file.delegations ?? {};
  const [bare, other] = [standing, file].map(({ envelope }) => content(withoutKeys(envelope.tree)));
  if (succinct === undefined || standing.delegations?.succinct === undefined || bare !== other)
    throw saysOther(name, file);
  const own = keyIdentities(keys, owner);
  if ([...keyIdentities(succinct.table, succinct)].every((key) => own.has(key))) return true;
  throw new IronError('E_KEY', `the bins of ${name} would be signed by a key that is not its own`, {
    why: 'together with targets they may be given to the keys that these targets name for it, and to no other',
    hint: 'nothing was changed; the vendor makes the file again with `ironport renew --out`',
  });
}

function saysOther(name: string, { version }: Targets): IronError {
  return new IronError(
    'E_POLICY',
    `${name} ${version} says something else than what is published`,
    {
      why: 'together with targets a role is signed again and changes nothing but its date',
      hint: 'nothing was changed; publish what is new afterwards, with `ironport publish`',
    },
  );
}

function content(tree: JsonObject): string {
  const fields = Object.entries(tree).filter(([name]) => name !== 'version' && name !== 'expires');
  return canonicalText(jsonObject(fields));
}

/** With nothing said of who signs the bins. */
function withoutKeys(tree: JsonObject): JsonObject {
  const delegations = objectMember(tree, 'delegations');
  const { succinct_roles: bins } = delegations;
  if (!isJsonObject(bins)) return tree;
  const succinct = withFields(bins, { keyids: [], threshold: 1 });
  return withFields(tree, {
    delegations: withFields(delegations, { keys: {}, succinct_roles: succinct }),
  });
}

/** All bins of the role, each as it stands, by the keys that the role names for them. One in memory at a time. */
async function verifyBins(
  shelves: Shelves,
  published: Published,
  { parsed, bins = [] }: RoleToTake,
  name: string,
  now: Instant,
): Promise<ResignedRole[]> {
  const { succinct } = parsed.delegations ?? {};
  if (succinct === undefined)
    throw new IronError('E_DELEGATION', `${name} is not divided into bins, and came with some`, {
      hint: 'nothing was changed; the vendor makes the file again with `ironport renew --out`',
    });
  demandBins(name, parsed, succinct);
  demandAll(name, succinct, bins);
  const roles: ResignedRole[] = [];
  for (const bin of bins) {
    const bytes = await readRoleBlob(shelves, name, bin);
    const { role, sha256 } = bin;
    if (toHex(shelves.crypto.sha256(bytes)) !== sha256)
      throw new IronError('E_HASH', `the bin ${role} is not what the file says that it is`, {
        hint: 'nothing was changed; the vendor makes the file again with `ironport renew --out`',
      });
    const file = parseTargets(bytes, role);
    verifyThreshold(shelves.crypto, file.envelope, succinct.table, succinct, role);
    const standing = await demandFollows(published, role, file);
    if (content(standing.envelope.tree) !== content(file.envelope.tree))
      throw saysOther(role, file);
    demandLifetime(role, file, LIFETIMES.vendor, now);
    const { version, expires } = file;
    const source = bin.bytes === undefined ? { sha256, length: bytes.length } : { bytes };
    roles.push({ vendor: name, role, version, expires, source });
  }
  return roles;
}

/** A reader that meets other keys for the bins must meet every bin signed by them. */
function demandAll(name: string, succinct: SuccinctRoles, bins: readonly ResignedBin[]): void {
  const brought = new Set(bins.map(({ role }) => role));
  const all = binNames(succinct);
  const missing = all.find((role) => !brought.has(role));
  if (missing === undefined && bins.length === all.length) return;
  throw new IronError(
    'E_DELEGATION',
    missing === undefined
      ? `${bins.length} bins of ${name} came, and it has ${all.length}`
      : `the bin ${missing} did not come along`,
    {
      why: `${name} names other keys for its bins: each of the ${all.length} must be signed by them, and come once`,
      hint: 'nothing was changed; the vendor makes the file again with `ironport renew --out`',
    },
  );
}
