/**
 * The operators' signed files: judged by what they are signed with, whoever brings them. Roots
 * must continue the chain that is published, targets must be signed by the root that will stand.
 */

import { isResignedRole, parseResignedRole } from '../../shared/api/resigned-role.ts';
import type { Verdict } from '../../shared/api/upload.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError } from '../../shared/errors.ts';
import { revocations as place } from '../../shared/layout.ts';
import { LIFETIMES, METADATA_LIMITS } from '../../shared/limits.ts';
import { isListFile } from '../../shared/revocation/signed-list.ts';
import type { Instant } from '../../shared/time.ts';
import { parseEnvelope } from '../../shared/tuf/envelope.ts';
import { keyIdentities, verifyThreshold } from '../../shared/tuf/role.ts';
import { parseRoot, type Root } from '../../shared/tuf/root.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import { TrustedMetadata } from '../../shared/verify/trusted.ts';
import type { Published } from '../storage/published.ts';
import { demandSoundTargets, vendorsThatMustSignAgain } from './checks/operator-targets.ts';
import type { ExaminedRole, Shelves } from './examine.ts';
import { demandLifetime } from './lifetime.ts';
import { isSigned, type RoleToTake, verifyResigned } from './resigned-roles.ts';
import { judgeRevocations, type RevocationFiles } from './revocations.ts';

export interface SignedFile<T> {
  readonly version: number;
  readonly bytes: Uint8Array;
  readonly parsed: T;
}

/** A role of a vendor, or a bin of it. It brings no target. */
export interface ResignedRole extends Omit<ExaminedRole, 'fresh'> {
  readonly vendor: string;
}

/** What the files bring, verified. */
export interface OperatorChange {
  /** In order, the first one following the published root. */
  readonly roots: readonly SignedFile<Root>[];
  readonly targets: SignedFile<Targets> | undefined;
  /** The role that lists the revocations, and the list itself; both belong to this hand-in. */
  readonly revocations: RevocationFiles;
  /** Vendors' roles, signed again for these targets: what they say is what is published. */
  readonly roles: readonly ResignedRole[];
  /** The root that stands afterwards. */
  readonly root: Root;
  readonly verdicts: readonly Verdict[];
}

/**
 * Verifies signed files of the operators against what is published. Without anything published
 * they must be the first root and the first targets, and `first` must say that the machine's owner
 * brings them: to whoever comes over the network, a first root would be given away.
 */
export async function verifyOperatorFiles(
  shelves: Shelves,
  published: Published | undefined,
  files: readonly Uint8Array[],
  now: Instant,
  first: boolean,
): Promise<OperatorChange> {
  const { crypto } = shelves;
  const sorted = sortFiles(files);
  const { roots, revocations } = sorted;
  const { targets, others } = apart(crypto, sorted, published);
  if (published === undefined) demandBeginning(roots, targets, first);
  const trusted = chain(crypto, published, roots);
  const root = trusted.root;
  const verdicts: Verdict[] = [];
  const hold = (check: string, detail: string): void => {
    verdicts.push({ check, ok: true, detail });
  };
  if (roots.length > 0) {
    demandSoundRoot(root, now);
    hold('root', `root ${root.version} follows, signed by the root before it and by itself`);
  }
  const standing = targets?.parsed ?? published?.targets;
  if (standing === undefined) throw new IronError('E_INTERNAL', 'no targets to stand');
  const signed = verifyThreshold(
    crypto,
    standing.envelope,
    root.keys,
    root.roles.targets,
    `targets ${standing.version}`,
  );
  hold('targets', `targets ${standing.version} is signed by ${signed.length} keys of the root`);
  if (targets !== undefined) {
    demandNext('targets', targets.version, published?.targets.version ?? 0);
    demandLifetime('targets', targets.parsed, LIFETIMES.targets, now);
    hold('vendors', demandSoundTargets(targets.parsed, published?.targets));
  }
  const context = {
    ...{ crypto, now, targets: standing, before: published?.targets },
    published: await published?.revocations(),
  };
  verdicts.push(...judgeRevocations(context, revocations));
  const resigned = [...others, ...sorted.resigned];
  const roles = await verifyResigned(shelves, published, targets?.parsed, resigned, now);
  for (const { vendor, role, version } of roles) {
    if (role !== vendor) continue;
    const bins = roles.filter((one) => one.vendor === vendor).length - 1;
    const withBins = bins === 0 ? '' : `, with its ${bins} bins`;
    hold(
      'role',
      `${role} ${version} is signed again for these targets${withBins}, and says the same`,
    );
  }
  return { roots, targets, roles, revocations, root, verdicts };
}

/** The operators' targets among files that are all of the type targets: by who signed them. */
function apart(
  crypto: Crypto,
  { roots, files }: Sorted,
  published: Published | undefined,
): { targets: SignedFile<Targets> | undefined; others: readonly SignedFile<Targets>[] } {
  const root = roots.at(-1)?.parsed ?? published?.root;
  if (files.length < 2 || root === undefined) return { targets: files[0], others: files.slice(1) };
  const isOperators = ({ parsed }: SignedFile<Targets>): boolean =>
    isSigned(crypto, parsed, root.keys, root.roles.targets);
  const [targets, second] = files.filter(isOperators);
  if (second !== undefined) throw onlyOne('targets file');
  return { targets, others: files.filter((file) => file !== targets) };
}

/** A note about vendors whose published role no longer verifies under new targets. */
export async function noteAboutVendors(
  crypto: Crypto,
  published: Published | undefined,
  { targets, roles }: Pick<OperatorChange, 'targets' | 'roles'>,
): Promise<Verdict[]> {
  if (published === undefined || targets === undefined) return [];
  const resigned = new Set(roles.map(({ role }) => role));
  const all = await vendorsThatMustSignAgain(crypto, published, targets.parsed);
  const names = all.filter((name) => !resigned.has(name));
  const details = [
    ...(names.length === 0
      ? []
      : [`until they publish again, these cannot be verified any more: ${names.join(', ')}`]),
    ...roles
      .filter((role) => hasStrangeBins(role, targets.parsed))
      .map(({ vendor }) => `bins of ${vendor} may still be signed by keys that it has no more`),
  ];
  return details.map((detail) => ({ check: 'delegations', ok: true, detail }));
}

/** Whether a role that was signed again leaves its bins to keys that these targets do not name for it. */
function hasStrangeBins({ role, vendor, source }: ResignedRole, { delegations }: Targets): boolean {
  const owner = delegations?.roles.find(({ name }) => name === vendor);
  if (role !== vendor || !('bytes' in source) || delegations === undefined || owner === undefined)
    return false;
  const { succinct } = parseTargets(source.bytes, role).delegations ?? {};
  if (succinct === undefined) return false;
  const own = keyIdentities(delegations.keys, owner);
  return [...keyIdentities(succinct.table, succinct)].some((key) => !own.has(key));
}

interface Sorted {
  readonly roots: SignedFile<Root>[];
  /** Everything of the type targets, but for the role of the revocations. */
  readonly files: SignedFile<Targets>[];
  /** Roles that vendors signed again together with their bins. */
  readonly resigned: RoleToTake[];
  readonly revocations: RevocationFiles;
}

function sortFiles(files: readonly Uint8Array[]): Sorted {
  const roots: SignedFile<Root>[] = [];
  const targets: SignedFile<Targets>[] = [];
  const resigned: RoleToTake[] = [];
  let role: SignedFile<Targets> | undefined;
  let list: Uint8Array | undefined;
  for (const bytes of files) {
    if (isListFile(bytes)) {
      if (list !== undefined) throw onlyOne('list of revocations');
      list = bytes;
      continue;
    }
    if (isResignedRole(bytes)) {
      const { role: own, bins } = parseResignedRole(bytes);
      const parsed = parseTargets(own, 'role');
      resigned.push({ version: parsed.version, bytes: own, parsed, bins });
      continue;
    }
    const { signed } = parseEnvelope(bytes, METADATA_LIMITS.targets, 'file');
    const type = signed.get('_type');
    if (type.oneOf('root', 'targets') === 'root') {
      const parsed = parseRoot(bytes);
      roots.push({ version: parsed.version, bytes, parsed });
    } else if (signed.get('targets').maybe(place.list) !== undefined) {
      // A role's file does not carry its name; what this one lists, no other may list.
      if (role !== undefined) throw onlyOne(`file of the role ${place.role}`);
      const parsed = parseTargets(bytes, place.role);
      role = { version: parsed.version, bytes, parsed };
    } else {
      const parsed = parseTargets(bytes, 'targets');
      targets.push({ version: parsed.version, bytes, parsed });
    }
  }
  roots.sort((a, b) => a.version - b.version);
  return { roots, files: targets, resigned, revocations: { role, list } };
}

function onlyOne(what: string): IronError {
  return new IronError('E_USAGE', `only one ${what} can be handed in at a time`);
}

function demandBeginning(
  roots: readonly SignedFile<Root>[],
  targets: SignedFile<Targets> | undefined,
  first: boolean,
): void {
  if (!first) {
    throw new IronError('E_NO_PIN', 'this repository has no root yet', {
      why: 'whoever brings the first root decides whom everybody else trusts',
      hint: 'nothing was changed; hand it in on the machine itself: `ironport-repo submit`',
    });
  }
  if (roots[0]?.version !== 1 || targets === undefined) {
    throw new IronError('E_USAGE', 'a repository begins with root 1 and targets 1, together', {
      hint: 'nothing was changed; `ironport-repo ceremony` makes both',
    });
  }
}

/** TUF 5.3.4, 5.3.5: one root after the other, each signed by the one before it and by itself. */
function chain(
  crypto: Crypto,
  published: Published | undefined,
  roots: readonly SignedFile<Root>[],
): TrustedMetadata {
  const standing = published?.roots.get(published.root.version);
  const [begin, ...rest] = standing === undefined ? roots.map(({ bytes }) => bytes) : [standing];
  if (begin === undefined) throw new IronError('E_INTERNAL', 'no root to begin with');
  const trusted = new TrustedMetadata({ crypto, now: 0, root: begin });
  if (standing === undefined) {
    for (const bytes of rest) trusted.updateRoot(bytes);
    return trusted;
  }
  for (const { version, bytes } of roots) {
    demandNext('root', version, trusted.root.version);
    trusted.updateRoot(bytes);
  }
  return trusted;
}

/** The version follows the published one; `E_CONFLICT` says which one stands. */
export function demandNext(role: string, submitted: number, current: number): void {
  if (submitted === current + 1) return;
  throw new IronError(
    'E_CONFLICT',
    `${role} ${submitted} was handed in, and ${role} ${current} stands`,
    {
      why: `the next one must be ${role} ${current + 1}`,
      hint: 'nothing was changed; make the change again on top of what is published',
      context: { submitted, current },
    },
  );
}

/** TUF 5.3.10, and what the shape of our tree demands. */
export function demandSoundRoot(root: Root, now: Instant): void {
  demandLifetime('root', root, LIFETIMES.root, now);
  if (!root.consistentSnapshot) {
    throw new IronError('E_SCHEMA', 'the root does not ask for consistent snapshots', {
      why: 'files of the tree never change, so every version has a name of its own',
    });
  }
}
