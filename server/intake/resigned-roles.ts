/**
 * Vendors' roles that come together with the operators' targets: when a vendor's keys are
 * exchanged, the role must be signed with the new ones in the very snapshot in which the targets
 * name them, or no host could verify it in between. It may say nothing new: what a vendor
 * publishes goes through the checks of its own submissions.
 */

import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { canonicalText } from '../../shared/json/canonical.ts';
import { jsonObject } from '../../shared/json/value.ts';
import { LIFETIMES } from '../../shared/limits.ts';
import type { Instant } from '../../shared/time.ts';
import { type KeyTable, type RoleKeys, verifyThreshold } from '../../shared/tuf/role.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import type { Published } from '../storage/published.ts';
import { demandLifetime } from './lifetime.ts';
import type { ResignedRole, SignedFile } from './operator-files.ts';

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
 * something else than what is published.
 */
export async function verifyResigned(
  crypto: Crypto,
  published: Published | undefined,
  targets: Targets | undefined,
  files: readonly SignedFile<Targets>[],
  now: Instant,
): Promise<ResignedRole[]> {
  const roles: ResignedRole[] = [];
  for (const file of files) {
    const delegations = targets?.delegations;
    const owner = delegations?.roles.find((role) =>
      isSigned(crypto, file.parsed, delegations.keys, role),
    );
    if (published === undefined || owner === undefined) {
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
    await demandSame(published, name, file.parsed);
    demandLifetime(name, file.parsed, LIFETIMES.vendor, now);
    roles.push({ ...file, role: name });
  }
  return roles;
}

async function demandSame(published: Published, name: string, file: Targets): Promise<void> {
  const standing = (await published.role(name))?.targets;
  const version = published.version(name);
  if (standing === undefined || file.version !== version + 1) {
    throw new IronError(
      'E_CONFLICT',
      `${name} ${file.version} was handed in, and ${name} ${version} stands`,
      {
        hint: 'nothing was changed; the vendor signs again on top of what is published',
        context: { submitted: file.version, current: version },
      },
    );
  }
  if (content(standing) === content(file)) return;
  throw new IronError(
    'E_POLICY',
    `${name} ${file.version} says something else than what is published`,
    {
      why: 'together with targets a role is signed again and changes nothing but its date',
      hint: 'nothing was changed; publish what is new afterwards, with `ironport publish`',
    },
  );
}

function content({ envelope }: Targets): string {
  const fields = Object.entries(envelope.tree).filter(
    ([name]) => name !== 'version' && name !== 'expires',
  );
  return canonicalText(jsonObject(fields));
}
