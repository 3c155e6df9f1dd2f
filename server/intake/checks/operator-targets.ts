/** The shape of the operators' targets: vendors and their namespaces, and no artifact. */

import type { Crypto } from '../../../shared/crypto/crypto.ts';
import { keyIdentity } from '../../../shared/crypto/key.ts';
import { IronError, isIronError } from '../../../shared/errors.ts';
import { canonicalText } from '../../../shared/json/canonical.ts';
import { revocations } from '../../../shared/layout.ts';
import { parseLost } from '../../../shared/tuf/lost.ts';
import { parseVendorName, quoted } from '../../../shared/tuf/names.ts';
import { parseRetention } from '../../../shared/tuf/retention.ts';
import { parseReviewers } from '../../../shared/tuf/reviewers.ts';
import { parseRevocationTrust } from '../../../shared/tuf/revocation-trust.ts';
import { keyIdentities, verifyThreshold } from '../../../shared/tuf/role.ts';
import type { Targets } from '../../../shared/tuf/targets.ts';
import { parseVendors } from '../../../shared/tuf/vendors.ts';
import type { Published } from '../../storage/published.ts';
import { some } from '../check.ts';

/**
 * Throws what the operators would be sorry to have signed; says what is admitted.
 * @param before the targets that they follow: a repository that was taken over may list artifacts
 *   there, which may stay as they are or go
 */
export function demandSoundTargets(targets: Targets, before?: Targets): string {
  const listed = targets.paths().find((path) => !isSameEntry(targets, before, path));
  if (listed !== undefined) {
    throw new IronError('E_POLICY', `the operators' targets list ${quoted(listed)} themselves`, {
      why: 'artifacts are listed by the vendors who answer for them',
    });
  }
  if (targets.delegations?.succinct !== undefined)
    throw new IronError('E_DELEGATION', 'the operators delegate to vendors by name, not to bins');
  const roles = targets.delegations?.roles ?? [];
  for (const { name, scope } of roles) {
    if (name === revocations.role) {
      demandRevocationScope(targets);
      continue;
    }
    parseVendorName(name);
    const patterns = 'paths' in scope ? scope.paths : [];
    const outside = patterns.find((pattern) => !pattern.startsWith(`${name}/`));
    if (outside !== undefined || patterns.length === 0) {
      throw new IronError(
        'E_DELEGATION',
        `${name} would speak for ${quoted(outside ?? 'nothing')}`,
        {
          why: `a vendor has its own namespace, ${name}/, and no other`,
        },
      );
    }
  }
  demandSeparateKeys(targets);
  demandForeignReviewers(targets);
  parseRetention(targets.envelope.signed);
  parseLost(targets.envelope.signed);
  const names = roles.map(({ name }) => name).filter((name) => name !== revocations.role);
  return `${some(names.length, 'vendor')} admitted${names.length === 0 ? '' : `: ${names.join(', ')}`}`;
}

function isSameEntry(targets: Targets, before: Targets | undefined, path: string): boolean {
  const texts = [targets, before].map((file) => {
    const entry = file?.envelope.signed.get('targets').maybe(path);
    return entry === undefined ? undefined : canonicalText(entry.value);
  });
  return texts[1] !== undefined && texts[0] === texts[1];
}

/** The role of revocations has its own folder, ends the search there, and shares no key. */
function demandRevocationScope(targets: Targets): void {
  const { delegations } = targets;
  const role = delegations?.roles.find(({ name }) => name === revocations.role);
  const paths = role !== undefined && 'paths' in role.scope ? role.scope.paths : [];
  const isOwn = paths.length === 1 && paths[0] === revocations.paths[0];
  if (role === undefined || delegations === undefined || !isOwn || !role.terminating) {
    throw new IronError(
      'E_DELEGATION',
      `the role ${revocations.role} would speak for something else`,
      {
        why: `it lists ${revocations.list}, and its delegation is of ${revocations.paths[0]}, and ends the search`,
      },
    );
  }
  const hot = keyIdentities(delegations.keys, role);
  const team = parseRevocationTrust(targets.envelope.signed)?.keys ?? [];
  const others = delegations.roles.filter(({ name }) => name !== revocations.role);
  const taken = new Set([
    ...team.map(keyIdentity),
    ...others.flatMap((other) => [...keyIdentities(delegations.keys, other)]),
  ]);
  for (const identity of hot) {
    if (!taken.has(identity)) continue;
    throw new IronError('E_KEY', `the key that renews the revocations has another part as well`, {
      why: 'it is a hot key: it may list the list of the team, and do nothing else',
    });
  }
}

/** An API key is one vendor's and signs nothing else (ADR 0007). */
function demandSeparateKeys(targets: Targets): void {
  const owners = new Map<string, string>();
  for (const { name, apiKeys } of parseVendors(targets.envelope.signed).values()) {
    for (const key of apiKeys) {
      const other = owners.get(keyIdentity(key)) ?? name;
      if (other !== name) throw new IronError('E_KEY', `${name} and ${other} share an API key`);
      owners.set(keyIdentity(key), name);
    }
  }
  const { delegations } = targets;
  for (const role of delegations?.roles ?? []) {
    for (const identity of keyIdentities(delegations?.keys ?? new Map(), role)) {
      if (!owners.has(identity)) continue;
      throw new IronError('E_KEY', `a key of ${role.name} signs metadata and requests as well`);
    }
  }
}

/**
 * Reviewers are none of those whom they review; their evidence keys are held against it when they
 * decide, because vendors change those themselves.
 */
function demandForeignReviewers(targets: Targets): void {
  const reviewers = parseReviewers(targets.envelope.signed);
  if (reviewers === undefined) return;
  const { delegations } = targets;
  const owners = new Map<string, string>();
  for (const role of delegations?.roles ?? [])
    for (const identity of keyIdentities(delegations?.keys ?? new Map(), role))
      owners.set(identity, role.name);
  for (const { name, apiKeys } of parseVendors(targets.envelope.signed).values())
    for (const key of apiKeys) owners.set(keyIdentity(key), name);
  for (const key of reviewers.keys) {
    const owner = owners.get(keyIdentity(key));
    if (owner === undefined) continue;
    throw new IronError('E_KEY', `a key of ${owner} would review what vendors hand in`, {
      why: 'who signs it does not review it',
    });
  }
}

/** Vendors whose published role has too few signatures under these targets: keys were replaced. */
export async function vendorsThatMustSignAgain(
  crypto: Crypto,
  published: Published,
  targets: Targets,
): Promise<string[]> {
  const { delegations } = targets;
  const names: string[] = [];
  for (const name of published.snapshot.roles.keys()) {
    const role = delegations?.roles.find((candidate) => candidate.name === name);
    // Bins are signed under their vendor's role, and only that is signed under these targets.
    const isVendor = role !== undefined && name !== revocations.role;
    const file = isVendor ? await published.role(name) : undefined;
    if (file === undefined || delegations === undefined || role === undefined) continue;
    try {
      verifyThreshold(crypto, file.targets.envelope, delegations.keys, role, name);
    } catch (error) {
      if (!isIronError(error, 'E_THRESHOLD')) throw error;
      names.push(name);
    }
  }
  return names;
}
