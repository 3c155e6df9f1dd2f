/**
 * What operators hand in about revocations: the list that the security team signed, and the role
 * that lists it. Judged under the targets that will stand, so that no targets are published under
 * which every host would refuse for want of a list.
 */

import type { Verdict } from '../../shared/api/upload.ts';
import { equalBytes, toHex } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError } from '../../shared/errors.ts';
import { revocations as place } from '../../shared/layout.ts';
import { LIFETIMES, PUBLISHED_LIMITS } from '../../shared/limits.ts';
import { floorsOf, verifyList } from '../../shared/revocation/signed-list.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import { parseRevocationTrust } from '../../shared/tuf/revocation-trust.ts';
import { verifyThreshold } from '../../shared/tuf/role.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import type { PublishedRevocations } from '../storage/published.ts';
import { demandLifetime } from './lifetime.ts';
import type { SignedFile } from './operator-files.ts';

export interface RevocationFiles {
  readonly role: SignedFile<Targets> | undefined;
  readonly list: Uint8Array | undefined;
}

export interface RevocationContext {
  readonly crypto: Crypto;
  readonly now: Instant;
  /** The targets that will stand, and those that do. */
  readonly targets: Targets;
  readonly before: Targets | undefined;
  readonly published: PublishedRevocations | undefined;
}

/**
 * Judges the files, and whether the list that will stand holds under the targets that will stand.
 * Throws what hosts would throw, and `E_POLICY`, `E_CONFLICT`, `E_EXPIRED` about the files.
 */
export function judgeRevocations(context: RevocationContext, files: RevocationFiles): Verdict[] {
  const { crypto, targets, published } = context;
  const trust = parseRevocationTrust(targets.envelope.signed);
  const { delegations } = targets;
  const edge = delegations?.roles.find(({ name }) => name === place.role);
  if (trust === undefined || edge === undefined || delegations === undefined) {
    demandNothing(context, files);
    return [];
  }
  demandEpoch(context, trust.epoch);
  const role = files.role?.parsed ?? published?.role;
  const list = files.list ?? published?.bytes;
  if (role === undefined || list === undefined) {
    throw new IronError(
      'E_REVOCATIONS_MISSING',
      'the targets name a security team, and no list came',
      {
        why: 'every host would refuse every artifact until there is one',
        hint: `nothing was changed; hand in the list and the role ${place.role} together with these targets`,
      },
    );
  }
  verifyThreshold(crypto, role.envelope, delegations.keys, edge, place.role);
  if (files.role !== undefined) demandRole(context, files.role.parsed);
  demandListed(crypto, role, list);
  const verified = verifyList(crypto, list, trust, published && floorsOf(published.verified));
  const { epoch, version } = verified.list;
  return [
    {
      check: place.role,
      ok: true,
      detail: `list ${version} of epoch ${epoch}, signed by ${verified.keys.length} of the security team, listed by ${place.role} ${role.version} until ${formatInstant(role.expires)}`,
    },
  ];
}

/** Hosts that saw a list never do without one again. */
function demandNothing({ before, targets }: RevocationContext, files: RevocationFiles): void {
  const had = before === undefined ? undefined : parseRevocationTrust(before.envelope.signed);
  const hasHalf =
    parseRevocationTrust(targets.envelope.signed) !== undefined ||
    targets.delegations?.roles.some(({ name }) => name === place.role) === true;
  const why =
    had !== undefined
      ? 'a repository that once had revocations keeps them: hosts that saw them refuse to do without'
      : hasHalf
        ? 'the team and the delegation to the role come together, or not at all'
        : files.role !== undefined || files.list !== undefined
          ? 'the targets name no security team'
          : undefined;
  if (why === undefined) return;
  throw new IronError('E_POLICY', 'these files do not fit together about revocations', {
    why,
    hint: 'nothing was changed; `ironport-repo revocations init` makes targets that name the team',
  });
}

function demandEpoch({ before }: RevocationContext, epoch: number): void {
  const stands = before === undefined ? undefined : parseRevocationTrust(before.envelope.signed);
  if (stands === undefined || epoch === stands.epoch || epoch === stands.epoch + 1) return;
  throw new IronError('E_POLICY', `epoch ${epoch} does not follow epoch ${stands.epoch}`, {
    why: 'hosts never go back to an epoch, and each one is declared once',
    hint: 'nothing was changed',
  });
}

/** The role lists the list and does nothing else; it lives a week. */
function demandRole({ now, published }: RevocationContext, role: Targets): void {
  const current = published?.role.version ?? 0;
  // A timer that tries again hands in what was published already.
  if (
    published !== undefined &&
    equalBytes(role.envelope.signedBytes(), published.role.envelope.signedBytes())
  )
    throw new IronError('E_NOTHING_TO_DO', `${place.role} ${current} is published already`);
  // Not just the next one: the machine that renews may have been cut off for some days.
  if (role.version <= current || role.version > PUBLISHED_LIMITS.version) {
    throw new IronError(
      'E_CONFLICT',
      `${place.role} ${role.version} was handed in, and ${place.role} ${current} stands`,
      {
        why: 'the next one must have a higher version',
        hint: 'nothing was changed; renew it again on top of what is published',
        context: { submitted: role.version, current },
      },
    );
  }
  demandLifetime(place.role, role, LIFETIMES.revocations, now);
  const [listed, ...others] = role.paths();
  if (listed === place.list && others.length === 0 && role.delegations === undefined) return;
  throw new IronError(
    'E_POLICY',
    `the role ${place.role} lists something else than ${place.list}`,
    {
      why: 'its key is a hot one: it may list the list, and nothing beside it',
      hint: 'nothing was changed',
    },
  );
}

function demandListed(crypto: Crypto, role: Targets, list: Uint8Array): void {
  const entry = role.entry(place.list);
  const isIt =
    entry?.length === list.length &&
    entry.hashes.size === 1 &&
    entry.hashes.get('sha256') === toHex(crypto.sha256(list));
  if (isIt) return;
  throw new IronError('E_HASH', `the role ${place.role} does not list the list that would stand`, {
    why: `${place.role} ${role.version} gives it another length or SHA-256`,
    hint: 'nothing was changed; hand in the list together with a role that lists it: `ironport-repo revocations renew`',
  });
}
