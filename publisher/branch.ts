/**
 * The vendor's roles that follow the published ones: its own, those nested in it, and their bins. Only
 * what changes is fetched, verified, signed and sent.
 */

import { keyIdentity } from '../shared/crypto/key.ts';
import { IronError } from '../shared/errors.ts';
import { parseEvidenceKeys } from '../shared/evidence/keys.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import type { SuccinctRoles } from '../shared/tuf/delegations.ts';
import { isBinName, parentRole } from '../shared/tuf/nested.ts';
import type { Targets } from '../shared/tuf/targets.ts';
import { type SignedRole, signRole } from './hand-in.ts';
import { nextBelow, nextRole, type RoleChange } from './next-role.ts';
import type { Base } from './rebase/base.ts';
import { BinLog, lineOf } from './rebase/bin-log.ts';
import { PublishedBranch } from './rebase/published-branch.ts';
import { roleWords, type Session } from './session.ts';
import { demandSome, type RoleToSign, type SignedBelow, signBelow } from './sign-below.ts';
import type { Api } from './upload/api.ts';
import { type BatchSender, SMALL } from './upload/batch.ts';
import { uploadBlob } from './upload/blob.ts';
import { RepositoryFetcher } from './upload/fetcher.ts';

/** What is handed in together. */
export interface SignedBranch {
  /** The vendor's own role, when it changes. */
  readonly own: SignedRole | undefined;
  readonly bins: readonly SignedBelow[];
  readonly nested: readonly SignedBelow[];
}

/** The bins of the published role; undefined when it is not split. */
export function binsOf({ role }: Base): SuccinctRoles | undefined {
  return role?.delegations?.succinct;
}

/** What is published of the vendor, as this session reads it. */
export function publishedBranch({ repository }: Session, base: Base): PublishedBranch {
  return new PublishedBranch(crypto, new RepositoryFetcher(repository), base);
}

/** What changes of one role. */
interface OneChange {
  readonly entries: Map<string, JsonObject>;
  readonly removed: string[];
}

/** Signs what brings new entries into the vendor's branch, and takes others away. */
export async function signChange(
  session: Session,
  branch: PublishedBranch,
  change: RoleChange,
): Promise<SignedBranch> {
  const { base } = branch;
  const { vendor } = session.config;
  const byRole = new Map<string, OneChange>();
  const changeOf = async (path: string): Promise<OneChange> => {
    const role = await branch.owner(path);
    const one = byRole.get(role) ?? { entries: new Map(), removed: [] };
    byRole.set(role, one);
    return one;
  };
  for (const [path, entry] of change.entries) (await changeOf(path)).entries.set(path, entry);
  for (const path of change.removed ?? []) (await changeOf(path)).removed.push(path);
  const ofOwn = byRole.get(vendor);
  byRole.delete(vendor);
  const trees = await treesBelow(session, branch, byRole, change);
  const below = await signBelow(session, await toSign(branch, trees));
  demandSome(below);
  // The own role comes after: it is kept as what was signed here last.
  const isNeeded = byRole.size === 0 || ofOwn !== undefined || !standsInRole(base, change);
  const { entries, removed } = ofOwn ?? { entries: new Map(), removed: [] };
  const own = isNeeded
    ? await signRole(session, base, nextRole(base.role, { ...change, entries, removed }))
    : undefined;
  return { own, ...apart(below) };
}

/** Bins and nested roles among roles below the own one. */
export function apart(below: readonly SignedBelow[]): Pick<SignedBranch, 'bins' | 'nested'> {
  return {
    bins: below.filter(({ role }) => isBinName(role)),
    nested: below.filter(({ role }) => !isBinName(role)),
  };
}

/** The next version of each role below the own one; says which were not signed in this folder last. */
async function treesBelow(
  session: Session,
  branch: PublishedBranch,
  byRole: ReadonlyMap<string, OneChange>,
  { expires }: RoleChange,
): Promise<Map<string, JsonObject>> {
  const trees = new Map<string, JsonObject>();
  const log = await BinLog.load(session.dir);
  const strange: string[] = [];
  for (const [role, { entries, removed }] of byRole) {
    const before = await branch.below(role);
    if (!log.isEmpty && !log.knows(lineOf(crypto, role, before))) strange.push(role);
    trees.set(role, nextBelow(before, { entries, removed, expires }));
  }
  if (strange.length > 0)
    session.context.ui.warn(
      `what these roles say was not signed in this folder: ${strange.slice(0, 8).join(', ')}${strange.length > 8 ? ` and ${strange.length - 8} more` : ''}`,
    );
  return trees;
}

/** Trees of roles below the own one with the keys that are published for each. */
export async function toSign(
  branch: PublishedBranch,
  trees: ReadonlyMap<string, JsonObject>,
): Promise<Map<string, RoleToSign>> {
  const roles = new Map<string, RoleToSign>();
  for (const [role, tree] of trees) {
    const keys = await branch.keys(role);
    if (keys === undefined) throw new IronError('E_INTERNAL', `nobody delegates to ${role}`);
    roles.set(role, { tree, keys });
  }
  return roles;
}

/** Whether the vendor's role says already what others do not: then it need not be signed again. */
function standsInRole({ role }: Base, { evidenceKeys, floors = new Map() }: RoleChange): boolean {
  if (role === undefined || floors.size > 0) return false;
  const active = parseEvidenceKeys(role.envelope.signed).active.map(keyIdentity);
  return evidenceKeys.every((key) => active.includes(keyIdentity(key)));
}

/** Uploads the files of roles below the own one: small ones together. */
export async function sendRoles(
  api: Api,
  sender: BatchSender,
  roles: readonly SignedBelow[],
): Promise<void> {
  for (const { sha256, bytes } of roles)
    if (bytes.length <= SMALL) await sender.add({ sha256, bytes });
    else await uploadBlob(api, { source: { bytes }, length: bytes.length, sha256 });
}

/** Whose bins these are: mostly one role's. */
function parentsOf(bins: readonly SignedBelow[]): string {
  return [...new Set(bins.map(({ role }) => parentRole(role) ?? role))].join(' and ');
}

/** `acme 4, valid until …`, `acme.wifi 2, valid until …` or `3 bins of acme`: what was signed. */
export function rolesWords(
  vendor: string,
  { own, bins, nested }: SignedBranch,
  standing: Targets,
): string {
  const roles = nested.map((one) => roleWords(one.role, one));
  if (own !== undefined) roles.unshift(roleWords(vendor, own.role));
  if (bins.length > 0) roles.push(`${bins.length} bins of ${parentsOf(bins)}`);
  return roles.join(' and ') || roleWords(vendor, standing);
}
