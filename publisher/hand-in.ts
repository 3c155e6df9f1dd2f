/** Signing a role at home, handing it in, and seeing with one's own client what became of it. */

import type { SubmissionReply, UploadedRole, Verdict } from '../shared/api/upload.ts';
import { equalBytes } from '../shared/bytes.ts';
import { IronError, isIronError } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { tree } from '../shared/layout.ts';
import { METADATA_LIMITS } from '../shared/limits.ts';
import { beside } from '../shared/node/beside.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import { formatMetadata, sign } from '../shared/tuf/build.ts';
import { parseEnvelope } from '../shared/tuf/envelope.ts';
import { verifyThreshold } from '../shared/tuf/role.ts';
import { parseTargets, type Targets } from '../shared/tuf/targets.ts';
import { inReview, keepInReview } from './in-review.ts';
import type { Base } from './rebase/base.ts';
import { remember } from './rebase/floor.ts';
import { noteSigned } from './rebase/note-signed.ts';
import { type Session, verifiedBase } from './session.ts';
import type { SignedBelow } from './sign-below.ts';
import type { Api } from './upload/api.ts';
import { RepositoryFetcher } from './upload/fetcher.ts';
import { refusalOf, submit, verdictLine, waitFor } from './upload/submission.ts';

export interface SignedRole {
  readonly bytes: Uint8Array;
  readonly role: Targets;
  /** Keys that signed, of those that count. */
  readonly have: number;
  readonly need: number;
}

/** Signs with the TUF keys that are here, and keeps the file beside them. */
export async function signRole(
  session: Session,
  base: Base,
  signed: JsonObject,
): Promise<SignedRole> {
  const { dir, config, signers } = session;
  const signatures = await sign(crypto, signed, await signers.here('tuf'));
  const bytes = formatMetadata(signed, signatures);
  const counted = countSignatures(base, bytes, config.vendor);
  await noteSigned(dir, config.vendor, counted);
  return counted;
}

/** How far a role file is signed, by the keys that the operators' targets name. `E_NOT_AUTHORISED`. */
export function countSignatures(base: Base, bytes: Uint8Array, vendor: string): SignedRole {
  const signed = countedSoFar(base, bytes, vendor);
  if (signed.have > 0) return signed;
  throw new IronError('E_NOT_AUTHORISED', 'none of the keys here may sign for this vendor', {
    why: `the operators' targets name other TUF keys for ${vendor}`,
    hint: 'nothing was handed in; compare vendor.json with what was admitted',
  });
}

/** The same of one that nobody may have signed yet. */
export function countedSoFar(base: Base, bytes: Uint8Array, vendor: string): SignedRole {
  const role = parseTargets(bytes, vendor);
  const { delegation, keys } = base;
  const any = { ...delegation, threshold: 1 };
  let have = 0;
  try {
    have = verifyThreshold(crypto, role.envelope, keys, any, vendor).length;
  } catch (error) {
    if (!isIronError(error, 'E_THRESHOLD')) throw error;
  }
  return { bytes, role, have, need: delegation.threshold };
}

/** What became of a role that was handed in. */
export interface Published {
  readonly verdicts: readonly Verdict[];
  readonly snapshot: number;
  readonly timestamp: number;
}

/**
 * Hands in a role with enough signatures, waits, and verifies with the client that it is what the
 * repository now shows. Throws the service's reason when it is refused.
 */
export async function handIn(
  session: Session,
  api: Api,
  signed: SignedRole | undefined,
  { bins = [], nested = [] }: Below = {},
): Promise<Published> {
  const { ui } = session.context;
  const { vendor } = session.config;
  const own = signed === undefined ? [] : [`${vendor} ${signed.role.version}`];
  const others = nested.map(({ role, version }) => `${role} ${version}`);
  const inBins = bins.length === 0 ? [] : [`${bins.length} bins`];
  ui.stage(`handing in ${[...own, ...others, ...inBins].join(' and ')}`);
  const uploaded = (roles: readonly SignedBelow[]): UploadedRole[] =>
    roles.map(({ role, sha256 }) => ({ role, sha256 }));
  const roles = { bins: uploaded(bins), nested: uploaded(nested) };
  const first = await submit(api, vendor, { metadata: signed?.bytes, ...roles });
  return await seePublished(session, api, first, signed, [...bins, ...nested]);
}

/** Roles below the own one that are handed in with it; their files were uploaded. */
export interface Below {
  readonly bins?: readonly SignedBelow[];
  readonly nested?: readonly SignedBelow[];
}

/** Waits for a submission, and sees with the own client that what was signed is published. */
export async function seePublished(
  session: Session,
  api: Api,
  first: SubmissionReply,
  signed: SignedRole | undefined,
  below: readonly SignedBelow[] = [],
): Promise<Published> {
  const reply = await waitFor(api, first);
  sayVerdicts(session, reply);
  if (reply.state === 'in-review') {
    if (signed !== undefined) await keepInReview(session.dir, reply.id, signed.bytes);
    throw inReview(reply);
  }
  if (reply.state !== 'published') throw refusalOf(reply);

  // That the service says so is no reason to believe it; its signed files are.
  const now = await verifiedBase(session);
  if (signed !== undefined) await demandOwn(session, now, signed);
  await demandBelow(session, now, below);
  return {
    verdicts: reply.verdicts,
    snapshot: now.trusted.snapshot().version,
    timestamp: now.trusted.requireFreshTimestamp().version,
  };
}

/** What is published of each role is at least what was handed in; of this version, the very same. */
async function demandBelow(
  { repository }: Session,
  { trusted }: Base,
  below: readonly SignedBelow[],
): Promise<void> {
  const fetcher = new RepositoryFetcher(repository);
  await beside(below, async ({ role, version, bytes }) => {
    const listed = trusted.snapshot().roles.get(role)?.version ?? 0;
    if (listed < version)
      throw new IronError(
        'E_ROLLBACK',
        `the service says that ${role} ${version} is published, and shows ${listed || 'none'}`,
        { hint: 'run the command again, and report it if it stays so' },
      );
    if (listed > version) return;
    const shown = await fetcher.fetchFile(tree.metadata(role, version), METADATA_LIMITS.targets);
    if (shown !== undefined && saysTheVerySame(shown, bytes, role)) return;
    throw new IronError('E_CONFLICT', `another ${role} ${version} is published than this one`, {
      why: 'two files of one version were signed with the keys of this vendor',
      hint: 'look at what is published; if nobody of yours signed it, a key is stolen',
    });
  });
}

/** Signatures may have come together from several. */
function saysTheVerySame(a: Uint8Array, b: Uint8Array, role: string): boolean {
  if (equalBytes(a, b)) return true;
  const [one, other] = [a, b].map((bytes) => parseEnvelope(bytes, METADATA_LIMITS.targets, role));
  return equalBytes(one?.signedBytes() ?? a, other?.signedBytes() ?? b);
}

async function demandOwn(session: Session, now: Base, signed: SignedRole): Promise<void> {
  const { dir, config } = session;
  const { vendor } = config;
  if (now.role === undefined || now.role.version < signed.role.version) {
    throw new IronError(
      'E_ROLLBACK',
      `the service says that ${vendor} ${signed.role.version} is published, and shows ${now.role?.version ?? 'none'}`,
      {
        hint: 'what was signed is kept; run the command again, and report it if it stays so',
      },
    );
  }
  const isOurs = equalBytes(now.role.envelope.signedBytes(), signed.role.envelope.signedBytes());
  if (now.role.version === signed.role.version && !isOurs) {
    throw new IronError(
      'E_CONFLICT',
      `another ${vendor} ${now.role.version} is published than this one`,
      {
        why: 'two files of one version were signed with the keys of this vendor',
        hint: 'look at what is published; if nobody of yours signed it, a key is stolen',
      },
    );
  }
  if (isOurs) await remember(dir, 'lastPublished', signed.bytes);
}

function sayVerdicts({ context }: Session, { verdicts }: SubmissionReply): void {
  for (const verdict of verdicts) {
    if (verdict.ok) context.ui.stage(verdictLine(verdict));
    else context.ui.warn(verdictLine(verdict));
  }
}
