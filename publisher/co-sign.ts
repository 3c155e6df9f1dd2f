/** Signers who finish one another's work: what another one made is shown, and then signed. */

import { join } from 'node:path';
import { type DraftReply, lacking, shortDraftId } from '../shared/api/pending.ts';
import type { CommandContext } from '../shared/cli/command.ts';
import { confirm } from '../shared/cli/confirm.ts';
import { IronError, isIronError } from '../shared/errors.ts';
import { canonicalText } from '../shared/json/canonical.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { vendorFolder } from '../shared/layout.ts';
import { systemClock } from '../shared/node/clock.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import type { BranchWalk } from '../shared/tuf/branch-walk.ts';
import { addSignatures } from '../shared/tuf/build.ts';
import type { DelegatedKeys } from '../shared/tuf/delegations.ts';
import type { TrustChange } from '../shared/tuf/diff/change.ts';
import { diffText, trustDiff } from '../shared/tuf/diff/trust-diff.ts';
import { parseArtifactPath } from '../shared/tuf/names.ts';
import { demandBins, demandNested, Owners, parentRole, patternsOf } from '../shared/tuf/nested.ts';
import type { Targets } from '../shared/tuf/targets.ts';
import { countSignatures, type SignedRole } from './hand-in.ts';
import type { Base } from './rebase/base.ts';
import type { Session } from './session.ts';
import type { SignedBelow } from './sign-below.ts';
import type { Api } from './upload/api.ts';
import { bringRoles } from './upload/pending.ts';

/**
 * The vendor's own role and nothing else: not the operators' targets, nor another vendor's role, nor
 * one that delegates to anybody but nested roles or bins of the vendor.
 */
export function demandOwnRole(role: Targets, before: Targets | undefined, vendor: string): void {
  const foreign = role.paths().find((target) => parseArtifactPath(target).vendor !== vendor);
  const says = (file: Targets | undefined): string => {
    const delegations = file?.envelope.tree.delegations;
    return delegations === undefined ? '' : canonicalText(delegations);
  };
  const isAsBefore = says(role) === '' || says(role) === says(before);
  if (foreign === undefined && (isAsBefore || isOwnBranch(role, vendor))) return;
  throw new IronError('E_NOT_AUTHORISED', `this is not a role of ${vendor}`, {
    why: foreign === undefined ? 'it delegates to others' : `it lists ${foreign}`,
    hint: 'nothing was signed; ask whoever passed it on what it is',
  });
}

/** Whether it delegates to roles below the vendor's, for paths of the vendor's, and to nobody else. */
function isOwnBranch(role: Targets, vendor: string): boolean {
  return delegatesWithin(vendor, role, [`${vendor}/*/*/*`]);
}

/** Whether a role delegates to bins of it, or to roles nested in it for some of these paths. */
export function delegatesWithin(role: string, file: Targets, within: readonly string[]): boolean {
  const { delegations } = file;
  if (delegations === undefined) return false;
  const { succinct } = delegations;
  try {
    if (succinct === undefined) demandNested(role, delegations, within);
    else demandBins(role, file, succinct);
    return true;
  } catch (error) {
    if (isIronError(error, 'E_NAME', 'E_DELEGATION', 'E_THRESHOLD', 'E_QUOTA')) return false;
    throw error;
  }
}

/**
 * A role below the vendor's own: one that is delegated to as things will stand, in the version that
 * follows the listed one, listing what is given to it and giving on no more. `E_NOT_AUTHORISED`,
 * `E_VERSION`.
 * @param after the branch as it will stand
 */
export async function demandBelowFile(
  { trusted }: Base,
  after: BranchWalk,
  role: string,
  file: Targets,
): Promise<DelegatedKeys> {
  const { vendor } = after;
  const parent = parentRole(role) ?? vendor;
  const keys = parent.split('.')[0] === vendor ? await after.keys(role) : undefined;
  const owners = new Owners(crypto, parent, await after.read(parent));
  const stray = file.paths().find((path) => owners.of(path) !== role);
  const why =
    keys === undefined
      ? `${parent} delegates to no ${role}`
      : stray !== undefined
        ? `it lists ${stray}`
        : await strangeDelegations(after, role, file);
  if (keys === undefined || why !== undefined)
    throw new IronError('E_NOT_AUTHORISED', `this is not the role ${role} of ${vendor}`, {
      ...(why === undefined ? {} : { why }),
      hint: 'nothing was signed; ask whoever passed it on what it is',
    });
  demandNext(role, file.version, trusted.snapshot().roles.get(role)?.version ?? 0);
  return keys;
}

/** Why a role below may not delegate as it does; undefined when it may. */
async function strangeDelegations(
  after: BranchWalk,
  role: string,
  file: Targets,
): Promise<string | undefined> {
  const delegation = await after.delegation(role);
  if (file.delegations === undefined) return undefined;
  const isSound = delegation !== undefined && delegatesWithin(role, file, patternsOf(delegation));
  return isSound ? undefined : 'it delegates to others';
}

/** A version that does not follow was made on top of another state than the published one. */
export function demandFollows(role: Targets, base: Base, vendor: string): void {
  demandNext(vendor, role.version, base.role?.version ?? 0);
}

function demandNext(role: string, version: number, published: number): void {
  if (version === published + 1) return;
  throw new IronError(
    'E_VERSION',
    `this is ${role} ${version}, and ${published || 'none'} is published`,
    { hint: 'nothing was signed; let it be made again on top of what is published' },
  );
}

/**
 * Says what a signature on the role would change; which role, where there are several.
 * @param entries what its targets are compared with, when not those of `before`
 */
export function showRole(
  { ui }: CommandContext,
  before: Targets | undefined,
  after: Targets,
  name = 'it',
  entries?: JsonObject,
): TrustChange[] {
  const changes = roleChanges(before, after, entries);
  ui.stage(`this is what ${name} changes:\n${diffText(changes)}`);
  return changes;
}

/** What a signature on the role would change; `entries` as for `showRole`. */
export function roleChanges(
  before: Targets | undefined,
  after: Targets,
  entries?: JsonObject,
): TrustChange[] {
  return trustDiff(
    crypto,
    before && { type: 'targets', file: before },
    { type: 'targets', file: after },
    systemClock(),
    entries,
  );
}

/** Shows, asks, and adds the signatures of the TUF keys that are here. */
export async function coSign(
  { context, config, signers }: Session,
  base: Base,
  role: Targets,
): Promise<SignedRole & { readonly changes: readonly TrustChange[] }> {
  const { vendor } = config;
  demandOwnRole(role, base.role, vendor);
  demandFollows(role, base, vendor);
  const changes = showRole(context, base.role, role);
  await confirm(context, `sign ${vendor} ${role.version}?`);
  const bytes = await addSignatures(crypto, role.envelope, await signers.here('tuf'));
  return { ...countSignatures(base, bytes, vendor), changes };
}

/** Roles that lack signatures wait at the service; the others find them there. */
export interface Waiting {
  /** Where the own role is kept here as well; null when only nested ones wait. */
  readonly file: string | null;
  readonly draft: DraftReply;
}

/** Roles that become visible together. */
export interface SignedTogether {
  readonly own: SignedRole | undefined;
  readonly nested: readonly SignedBelow[];
  readonly bins?: readonly SignedBelow[];
}

/** How many signatures are there, of those that all of them need. */
export function countOf({ own, nested, bins = [] }: SignedTogether): SignedCount {
  const all = [...(own === undefined ? [] : [own]), ...nested, ...bins];
  const sum = (number: (count: SignedCount) => number): number =>
    all.reduce((total, one) => total + number(one), 0);
  return { have: sum(({ have, need }) => Math.min(have, need)), need: sum(({ need }) => need) };
}

/** The same of a draft, as the service counts it: others may have signed since it was fetched. */
export function countOfDraft({ files }: DraftReply): SignedCount {
  const all = files.flatMap(({ signatures }) => signatures);
  const sum = (number: (one: { have: number; need: number }) => number): number =>
    all.reduce((total, one) => total + number(one), 0);
  return { have: sum(({ have, need }) => Math.min(have, need)), need: sum(({ need }) => need) };
}

export function isComplete(together: SignedTogether): boolean {
  const { have, need } = countOf(together);
  return have >= need;
}

/** Leaves roles at the service for the next signer. */
export async function leaveWaiting(
  { dir, config }: Session,
  api: Api,
  { own, nested, bins = [] }: SignedTogether,
): Promise<Waiting> {
  const draft = await bringRoles(api, config.vendor, own?.bytes, [...nested, ...bins]);
  return { file: own === undefined ? null : join(dir, vendorFolder.lastSigned), draft };
}

/** For `--json`. */
export function waitingData({ file, draft }: Waiting): object {
  return {
    published: false,
    file,
    pending: { id: draft.id, until: draft.until, lacking: lacking(draft) },
  };
}

/** What the next signer is to do. */
export function waitingText({ draft }: Waiting, { have, need }: SignedCount): string {
  const id = shortDraftId(draft);
  return [
    `${have} of the ${need} signatures that it needs are there; it waits at the service as ${id}, until ${draft.until}`,
    `the next signer: \`ironport pending sign ${id} --dir DIR --repository URL\``,
  ].join('\n');
}

type SignedCount = Pick<SignedRole, 'have' | 'need'>;
