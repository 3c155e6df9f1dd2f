/** Signing the roles below the vendor's own: nested roles by keys of their own, bins by those of their role. */

import { setImmediate } from 'node:timers/promises';
import { toHex } from '../shared/bytes.ts';
import type { Crypto } from '../shared/crypto/crypto.ts';
import { keyIdentity } from '../shared/crypto/key.ts';
import type { Signer } from '../shared/crypto/signer.ts';
import { rememberingVerified } from '../shared/crypto/verified-memory.ts';
import { IronError, isIronError } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import type { Instant } from '../shared/time.ts';
import { addSignatures, sealMetadata } from '../shared/tuf/build.ts';
import type { DelegatedKeys } from '../shared/tuf/delegations.ts';
import { isBinName, parentRole } from '../shared/tuf/nested.ts';
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

/** A role below the own one to sign: what it is to say, and whose signatures count on it. */
export interface RoleToSign {
  readonly tree: JsonObject;
  readonly keys: DelegatedKeys;
}

/** Roles that are signed between two turns of the event loop. */
const SIGNED_A_TURN = 16;

/**
 * Signs nested roles, and bins, with the keys of each that are here; others may have to sign after that.
 * What is signed is noted before it leaves.
 */
export async function signBelow(
  session: Session,
  roles: ReadonlyMap<string, RoleToSign>,
  log?: BinLog,
): Promise<SignedBelow[]> {
  const signed: SignedBelow[] = [];
  // What no key here signed is for others to know again.
  const own = new Map<string, JsonObject>();
  const keysHere = new KeysHere(session);
  // Each signature is verified as its signer gives it; in the finished file it is that same one.
  const verified = rememberingVerified(crypto);
  for (const [role, { tree, keys }] of roles) {
    const signers = countingOn(keys, await keysHere.of(role));
    signed.push(counted(keys, role, await sealMetadata(verified, tree, signers), verified));
    if (signers.length > 0) own.set(role, tree);
    // There may be a thousand: requests that are under way go on between them.
    if (signed.length % SIGNED_A_TURN === 0) await setImmediate();
  }
  await note(log ?? (await BinLog.load(session.dir)), own);
  return signed;
}

/** What nobody here signs, nobody who sees it wait has any reason to believe. `E_KEY`, `E_THRESHOLD`. */
export function demandSome(below: readonly SignedBelow[]): void {
  const unsigned = below.find(({ have }) => have === 0);
  if (unsigned === undefined) return;
  const { role } = unsigned;
  if (isBinName(role)) throw noneCounts(role);
  throw new IronError('E_KEY', `no key of ${role} is in this folder`, {
    why: 'these paths are given to that role, and its own keys sign it',
    hint: `nothing was handed in; publish from a folder whose vendor.json names keys of ${role}`,
    context: { role },
  });
}

/** The keys of this folder by role: bins are signed by those who sign the role that is split into them. */
class KeysHere {
  readonly #session: Session;
  readonly #found = new Map<string, readonly Signer[]>();

  constructor(session: Session) {
    this.#session = session;
  }

  async of(role: string): Promise<readonly Signer[]> {
    const { signers, config } = this.#session;
    const signing = isBinName(role) ? (parentRole(role) ?? role) : role;
    const known = this.#found.get(signing);
    if (known !== undefined) return known;
    const found =
      signing === config.vendor ? await signers.among('tuf') : await signers.ofNested(signing);
    this.#found.set(signing, found);
    return found;
  }
}

/** Whether the keys that are here sign a role below the own one by themselves. */
export async function areEnoughHere(
  session: Session,
  role: string,
  keys: DelegatedKeys,
): Promise<boolean> {
  return countingOn(keys, await new KeysHere(session).of(role)).length >= keys.threshold;
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
  const keysHere = new KeysHere(session);
  for (const { role, file, keys } of files) {
    const signers = countingOn(keys, await keysHere.of(role));
    signed.push(counted(keys, role, await addSignatures(crypto, file.envelope, signers)));
    if (signers.length > 0) own.set(role, file.envelope.tree);
  }
  await note(await BinLog.load(session.dir), own);
  return { signed, count: own.size };
}

/** Those of the keys that count: after an exchange vendor.json may name others. */
function countingOn(keys: DelegatedKeys, here: readonly Signer[]): Signer[] {
  const count = keyIdentities(keys.table, keys);
  return here.filter(({ key }) => count.has(keyIdentity(key)));
}

/** How far the file of a role below the vendor's own is signed. */
export function counted(
  keys: DelegatedKeys,
  role: string,
  bytes: Uint8Array,
  verifying: Crypto = crypto,
): SignedBelow {
  const { version, expires, envelope } = parseTargets(bytes, role);
  const sha256 = toHex(crypto.sha256(bytes));
  const need = keys.threshold;
  let have = 0;
  try {
    have = verifyThreshold(verifying, envelope, keys.table, { ...keys, threshold: 1 }, role).length;
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
