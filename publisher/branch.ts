/**
 * The vendor's roles that follow the published ones: its own, or the bins into which it is split.
 * Only the bins that change are fetched, verified, signed and sent.
 */

import { toHex } from '../shared/bytes.ts';
import { keyIdentity } from '../shared/crypto/key.ts';
import type { Signer } from '../shared/crypto/signer.ts';
import { IronError } from '../shared/errors.ts';
import { parseEvidenceKeys } from '../shared/evidence/keys.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { METADATA_LIMITS } from '../shared/limits.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import { sealMetadata } from '../shared/tuf/build.ts';
import type { SuccinctRoles } from '../shared/tuf/delegations.ts';
import { parseEnvelope } from '../shared/tuf/envelope.ts';
import { verifyThreshold } from '../shared/tuf/role.ts';
import { type SignedRole, signRole } from './hand-in.ts';
import { nextBin, nextRole, type RoleChange } from './next-role.ts';
import type { Base } from './rebase/base.ts';
import { BinLog, digestOf } from './rebase/bin-log.ts';
import { PublishedBranch } from './rebase/published-branch.ts';
import type { Session } from './session.ts';
import { RepositoryFetcher } from './upload/fetcher.ts';

/** A bin that was signed here. */
export interface SignedBin {
  readonly role: string;
  readonly version: number;
  readonly bytes: Uint8Array;
  readonly sha256: string;
}

/** What is handed in together. */
export interface SignedBranch {
  /** The vendor's own role, when it changes. */
  readonly own: SignedRole | undefined;
  readonly bins: readonly SignedBin[];
}

/** The bins of the published role; undefined when it is not split. */
export function binsOf({ role }: Base): SuccinctRoles | undefined {
  return role?.delegations?.succinct;
}

/** What is published of the vendor, as this session reads it. */
export function publishedBranch({ repository }: Session, base: Base): PublishedBranch {
  return new PublishedBranch(crypto, new RepositoryFetcher(repository), base);
}

/** Signs what brings new entries into the vendor's branch, and takes others away. */
export async function signChange(
  session: Session,
  branch: PublishedBranch,
  change: RoleChange,
): Promise<SignedBranch> {
  const { base, succinct } = branch;
  if (succinct === undefined)
    return { own: await signRole(session, base, nextRole(base.role, change)), bins: [] };
  const byBin = new Map<string, { entries: Map<string, JsonObject>; removed: string[] }>();
  const changeOf = (path: string): { entries: Map<string, JsonObject>; removed: string[] } => {
    const role = branch.binOf(path) as string;
    const one = byBin.get(role) ?? { entries: new Map(), removed: [] };
    byBin.set(role, one);
    return one;
  };
  for (const [path, entry] of change.entries) changeOf(path).entries.set(path, entry);
  for (const path of change.removed ?? []) changeOf(path).removed.push(path);
  const trees = new Map<string, JsonObject>();
  const log = await BinLog.load(session.dir);
  const strange: string[] = [];
  for (const [role, { entries, removed }] of byBin) {
    const bin = await branch.bin(succinct, role);
    if (!log.isEmpty && !log.knows(role, digestOf(crypto, bin.envelope.tree))) strange.push(role);
    trees.set(role, nextBin(bin, { entries, removed, expires: change.expires }));
  }
  if (strange.length > 0)
    session.context.ui.warn(
      `what these bins say was not signed in this folder: ${strange.slice(0, 8).join(', ')}${strange.length > 8 ? ` and ${strange.length - 8} more` : ''}`,
    );
  const own = standsInRole(base, change)
    ? undefined
    : await signRole(
        session,
        base,
        nextRole(base.role, { ...change, entries: new Map(), removed: [] }),
      );
  return { own, bins: await signBins(session, succinct, trees, log) };
}

/** Whether the vendor's role says already what bins do not: then it need not be signed again. */
function standsInRole({ role }: Base, { evidenceKeys, floors = new Map() }: RoleChange): boolean {
  if (role === undefined || floors.size > 0) return false;
  const active = parseEvidenceKeys(role.envelope.signed).active.map(keyIdentity);
  return evidenceKeys.every((key) => active.includes(keyIdentity(key)));
}

/** Signs bins with the TUF keys that are here; notes them before they leave. `E_THRESHOLD`. */
export async function signBins(
  session: Session,
  succinct: SuccinctRoles,
  trees: ReadonlyMap<string, JsonObject>,
  log: BinLog,
): Promise<SignedBin[]> {
  const signers = await session.signers.here('tuf');
  const bins: SignedBin[] = [];
  for (const [role, tree] of trees) bins.push(await signBin(succinct, role, tree, signers));
  await log.add(
    bins.map(({ role, version }) => ({
      role,
      version,
      says: digestOf(crypto, trees.get(role) as JsonObject),
    })),
  );
  return bins;
}

async function signBin(
  succinct: SuccinctRoles,
  role: string,
  tree: JsonObject,
  signers: readonly Signer[],
): Promise<SignedBin> {
  const bytes = await sealMetadata(crypto, tree, signers);
  const envelope = parseEnvelope(bytes, METADATA_LIMITS.targets, role);
  try {
    verifyThreshold(crypto, envelope, succinct.table, succinct, role);
  } catch (cause) {
    throw new IronError('E_THRESHOLD', `the keys here are too few for the bin ${role}`, {
      why: `${succinct.threshold} keys must sign, and bins are signed in one place`,
      hint: 'no bin was sent; bring the keys together, or, after an exchange of keys, let `ironport split` with the number of bins that there is sign all of them with the new ones',
      cause,
    });
  }
  const sha256 = toHex(crypto.sha256(bytes));
  return { role, version: tree.version as number, bytes, sha256 };
}
