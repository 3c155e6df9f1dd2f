/** Signing the roles below the vendor's own: its bins by its keys, nested roles by keys of their own. */

import { toHex } from '../shared/bytes.ts';
import { keyIdentity } from '../shared/crypto/key.ts';
import type { Signer } from '../shared/crypto/signer.ts';
import { IronError, isIronError } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import type { Instant } from '../shared/time.ts';
import { addSignatures, sealMetadata } from '../shared/tuf/build.ts';
import type { DelegatedKeys, SuccinctRoles } from '../shared/tuf/delegations.ts';
import { keyIdentities, verifyThreshold } from '../shared/tuf/role.ts';
import { parseTargets, type Targets } from '../shared/tuf/targets.ts';
import { BinLog, digestOf } from './rebase/bin-log.ts';
import type { Session } from './session.ts';

/** A role below the vendor's own that was signed here. */
export interface SignedBelow {
  readonly role: string;
  readonly version: number;
  readonly expires: Instant;
  readonly bytes: Uint8Array;
  readonly sha256: string;
  /** Keys that signed, of those that count. */
  readonly have: number;
  readonly need: number;
}

/**
 * Signs bins with the TUF keys that are here, and notes them before they leave; others may have to sign
 * after that. `E_THRESHOLD` when no key that is here counts.
 */
export async function signBins(
  session: Session,
  succinct: SuccinctRoles,
  trees: ReadonlyMap<string, JsonObject>,
  log: BinLog,
): Promise<SignedBelow[]> {
  const signers = await session.signers.here('tuf');
  const bins: SignedBelow[] = [];
  for (const [role, tree] of trees) {
    const bin = counted(succinct, role, await sealMetadata(crypto, tree, signers));
    if (bin.have === 0) throw noneCounts(role);
    bins.push(bin);
  }
  await note(log, trees);
  return bins;
}

/** A nested role to sign: what it is to say, and whose signatures count on it. */
export interface NestedRole {
  readonly tree: JsonObject;
  readonly keys: DelegatedKeys;
}

/** Signs nested roles with the keys of each that are here; others may have to sign after that. */
export async function signNested(
  session: Session,
  roles: ReadonlyMap<string, NestedRole>,
): Promise<SignedBelow[]> {
  const signed: SignedBelow[] = [];
  // What no key here signed is for others to know again.
  const own = new Map<string, JsonObject>();
  for (const [role, { tree, keys }] of roles) {
    const signers = await signersOf(session, keys, role);
    signed.push(counted(keys, role, await sealMetadata(crypto, tree, signers)));
    if (signers.length > 0) own.set(role, tree);
  }
  await note(await BinLog.load(session.dir), own);
  return signed;
}

/** A role below the own one that somebody else made. */
export interface BelowToSign {
  readonly role: string;
  readonly file: Targets;
  readonly keys: DelegatedKeys;
}

/**
 * Adds the signatures of the keys that are here to roles below the own one that somebody else made; says
 * on how many of them a key that is here counts.
 */
export async function coSignBelow(
  session: Session,
  files: readonly BelowToSign[],
): Promise<{ readonly signed: readonly SignedBelow[]; readonly count: number }> {
  const signed: SignedBelow[] = [];
  // What was only looked at here is not known here.
  const own = new Map<string, JsonObject>();
  let ofBins: readonly Signer[] | undefined;
  for (const { role, file, keys } of files) {
    const isNested = 'name' in keys;
    if (!isNested) ofBins ??= await session.signers.among('tuf');
    const here = isNested ? await session.signers.ofNested(role) : (ofBins ?? []);
    const signers = countingOn(keys, here);
    signed.push(counted(keys, role, await addSignatures(crypto, file.envelope, signers)));
    if (signers.length > 0) own.set(role, file.envelope.tree);
  }
  await note(await BinLog.load(session.dir), own);
  return { signed, count: own.size };
}

/** The keys that are here of those that count: after an exchange vendor.json may name others. */
async function signersOf(
  { signers }: Session,
  keys: DelegatedKeys,
  role: string,
): Promise<Signer[]> {
  return countingOn(keys, await signers.ofNested(role));
}

function countingOn(keys: DelegatedKeys, here: readonly Signer[]): Signer[] {
  const count = keyIdentities(keys.table, keys);
  return here.filter(({ key }) => count.has(keyIdentity(key)));
}

/** How far the file of a role below the vendor's own is signed. */
export function counted(keys: DelegatedKeys, role: string, bytes: Uint8Array): SignedBelow {
  const { version, expires, envelope } = parseTargets(bytes, role);
  const sha256 = toHex(crypto.sha256(bytes));
  const need = keys.threshold;
  let have = 0;
  try {
    have = verifyThreshold(crypto, envelope, keys.table, { ...keys, threshold: 1 }, role).length;
  } catch (error) {
    if (!isIronError(error, 'E_THRESHOLD')) throw error;
  }
  return { role, version, expires, bytes, sha256, have, need };
}

async function note(log: BinLog, trees: ReadonlyMap<string, JsonObject>): Promise<void> {
  await log.add(
    [...trees].map(([role, tree]) => ({
      role,
      version: tree.version as number,
      says: digestOf(crypto, tree),
    })),
  );
}

function noneCounts(role: string): IronError {
  return new IronError('E_THRESHOLD', `none of the keys here counts on the bin ${role}`, {
    why: 'the published role of the vendor names other keys for its bins',
    hint: 'no bin was sent; after an exchange of keys, let `ironport split` with the number of bins that there is sign all of them with the new ones',
  });
}
