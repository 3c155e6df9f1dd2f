/** Signers who finish one another's work: what another one made is shown, and then signed. */

import { join } from 'node:path';
import { type DraftReply, lacking } from '../shared/api/pending.ts';
import type { CommandContext } from '../shared/cli/command.ts';
import { confirm } from '../shared/cli/confirm.ts';
import { IronError } from '../shared/errors.ts';
import { canonicalText } from '../shared/json/canonical.ts';
import { vendorFolder } from '../shared/layout.ts';
import { systemClock } from '../shared/node/clock.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import { addSignatures } from '../shared/tuf/build.ts';
import type { TrustChange } from '../shared/tuf/diff/change.ts';
import { diffText, trustDiff } from '../shared/tuf/diff/trust-diff.ts';
import { parseArtifactPath } from '../shared/tuf/names.ts';
import type { Targets } from '../shared/tuf/targets.ts';
import { countSignatures, type SignedRole } from './hand-in.ts';
import type { Base } from './rebase/base.ts';
import type { Session } from './session.ts';
import type { Api } from './upload/api.ts';
import { bringRole } from './upload/pending.ts';

/**
 * The vendor's own role and nothing else: not the operators' targets, nor another vendor's role, nor
 * one that delegates otherwise than `before` does.
 */
export function demandOwnRole(role: Targets, before: Targets | undefined, vendor: string): void {
  const foreign = role.paths().find((target) => parseArtifactPath(target).vendor !== vendor);
  const says = (file: Targets | undefined): string => {
    const delegations = file?.envelope.tree.delegations;
    return delegations === undefined ? '' : canonicalText(delegations);
  };
  if (foreign === undefined && (says(role) === '' || says(role) === says(before))) return;
  throw new IronError('E_NOT_AUTHORISED', `this is not a role of ${vendor}`, {
    why: foreign === undefined ? 'it delegates to others' : `it lists ${foreign}`,
    hint: 'nothing was signed; ask whoever passed it on what it is',
  });
}

/** A version that does not follow was made on top of another state than the published one. */
export function demandFollows(role: Targets, base: Base, vendor: string): void {
  if (role.version === (base.role?.version ?? 0) + 1) return;
  throw new IronError(
    'E_VERSION',
    `this is ${vendor} ${role.version}, and ${base.role?.version ?? 'none'} is published`,
    { hint: 'nothing was signed; let it be made again on top of what is published' },
  );
}

/** Says what a signature on the role would change. */
export function showRole(
  { ui }: CommandContext,
  before: Targets | undefined,
  after: Targets,
): TrustChange[] {
  const changes = trustDiff(
    crypto,
    before && { type: 'targets', file: before },
    { type: 'targets', file: after },
    systemClock(),
  );
  ui.stage(`this is what it changes:\n${diffText(changes)}`);
  return changes;
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

/** A role that lacks signatures waits at the service; the others find it there. */
export interface Waiting {
  /** Where the file is kept here as well. */
  readonly file: string;
  readonly draft: DraftReply;
}

/** Leaves a role at the service for the next signer. */
export async function leaveWaiting(
  { dir, config }: Session,
  api: Api,
  { bytes }: SignedRole,
): Promise<Waiting> {
  const draft = await bringRole(api, config.vendor, bytes);
  return { file: join(dir, vendorFolder.lastSigned), draft };
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
  const id = draft.id.slice(0, 12);
  return [
    `${have} of the ${need} signatures that it needs are there; it waits at the service as ${id}, until ${draft.until}`,
    `the next signer: \`ironport pending sign ${id} --dir DIR --repository URL\``,
  ].join('\n');
}

type SignedCount = Pick<SignedRole, 'have' | 'need'>;
