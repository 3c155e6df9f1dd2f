/**
 * The own role for the operators who exchange its keys: signed by the new ones, with the same content
 * and a new date. Its bins are signed by the same keys, and come along, so that no reader and no thief
 * meets bins of the old ones afterwards.
 */

import { formatResignedRole, type ResignedBin } from '../shared/api/resigned-role.ts';
import { keyIdentity, type PublicKey } from '../shared/crypto/key.ts';
import type { Signer } from '../shared/crypto/signer.ts';
import { IronError, isIronError } from '../shared/errors.ts';
import { Node } from '../shared/json/decode.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { METADATA_LIMITS, PUBLISHER_LIMITS } from '../shared/limits.ts';
import { beside } from '../shared/node/beside.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import type { Instant } from '../shared/time.ts';
import { formatMetadata, sign, succinctTree, withFields } from '../shared/tuf/build.ts';
import { binNames, parseDelegations, type SuccinctRoles } from '../shared/tuf/delegations.ts';
import { keyIdentities } from '../shared/tuf/role.ts';
import { parseTargets, type Targets } from '../shared/tuf/targets.ts';
import type { VendorConfig } from './config.ts';
import { renewedRole } from './next-role.ts';
import type { Base } from './rebase/base.ts';
import { loadBelow } from './rebase/below.ts';
import { BinLog, lineOf } from './rebase/bin-log.ts';
import { apiOf, type Session } from './session.ts';
import { type SignedBelow, signBelow } from './sign-below.ts';
import { BatchSender } from './upload/batch.ts';
import { RepositoryFetcher } from './upload/fetcher.ts';

/** Bytes of bins that are in the file itself: with base64 twice around them it is a body that the service reads. */
const IN_THE_FILE = Math.floor((METADATA_LIMITS.targets * 9) / 16);

export interface Exchanged {
  readonly role: Targets;
  /** The role by itself. */
  readonly own: Uint8Array;
  /** What the operators hand in. */
  readonly bytes: Uint8Array;
  /** Bins that come along. */
  readonly bins: number;
  /** Bins that the old keys still sign, because more than those here must: they follow by `split`. */
  readonly left: number;
}

/**
 * Throws what `loadBelow` does, and `E_CONFLICT` when a bin says something that was not signed here.
 * @param options `adopt` says that such a bin is signed all the same, `room` how many bytes of bins the
 *   file may have: more are uploaded
 */
export async function exchanged(
  session: Session,
  base: Base & { readonly role: Targets },
  expires: Instant,
  { adopt, room = IN_THE_FILE }: { readonly adopt: boolean; readonly room?: number },
): Promise<Exchanged> {
  const { signers, config } = session;
  const here = await signers.here('tuf');
  const old = base.role.delegations?.succinct;
  const keys = here.map(({ key }) => key);
  const isAlone = old === undefined || namesThese(old, keys, config);
  const isShort = here.length < config.threshold;
  const tree = renewedRole(base.role, expires);
  if (old === undefined || isAlone || isShort) {
    const own = await signed(tree, here);
    const left = isAlone || old === undefined ? 0 : binNames(old).length;
    return { role: parseTargets(own, config.vendor), own, bytes: own, bins: 0, left };
  }
  const spec = { keys, threshold: config.threshold };
  const delegations = succinctTree(crypto, spec, old.bitLength, old.namePrefix);
  const next = parseDelegations(new Node(delegations, 'delegations')).succinct as SuccinctRoles;
  const renewing = { adopt, expires, carried: new Carried(session, room) };
  const bins = await signBins(session, base, { old, next }, renewing);
  const own = await signed(withFields(tree, { delegations }), here);
  return {
    role: parseTargets(own, config.vendor),
    own,
    bytes: formatResignedRole({ role: own, bins }),
    bins: bins.length,
    left: 0,
  };
}

async function signed(tree: JsonObject, signers: readonly Signer[]): Promise<Uint8Array> {
  return formatMetadata(tree, await sign(crypto, tree, signers));
}

/** Whether the bins name the keys of vendor.json, as far as these are here, and no more of them. */
function namesThese(
  bins: SuccinctRoles,
  here: readonly PublicKey[],
  { threshold, keys }: VendorConfig,
): boolean {
  const named = keyIdentities(bins.table, bins);
  return (
    bins.threshold === threshold &&
    named.size === keys.tuf.length &&
    here.every((key) => named.has(keyIdentity(key)))
  );
}

/** Every bin as it stands, by the new keys. What is too much for a file is uploaded as it comes. */
async function signBins(
  session: Session,
  base: Base,
  { old, next }: { readonly old: SuccinctRoles; readonly next: SuccinctRoles },
  {
    adopt,
    expires,
    carried,
  }: { readonly adopt: boolean; readonly expires: Instant; readonly carried: Carried },
): Promise<ResignedBin[]> {
  const log = await BinLog.load(session.dir);
  const fetcher = new RepositoryFetcher(session.repository);
  const names = binNames(old);
  const progress = session.context.ui.progress('signing bins', names.length);
  for (let at = 0; at < names.length; at += PUBLISHER_LIMITS.binsAtOnce) {
    const group = names.slice(at, at + PUBLISHER_LIMITS.binsAtOnce);
    const found = new Map<string, JsonObject>();
    await beside(group, async (name) => {
      const bin = await loadBelow(crypto, fetcher, base, old, name);
      if (!adopt && !log.knows(lineOf(crypto, name, bin)))
        throw new IronError('E_CONFLICT', `what ${name} says was not signed in this folder last`, {
          why: 'to sign it would be to vouch for what this machine has not seen before',
          hint: 'nothing was written; look at what is published, and give --adopt if it is yours',
          context: { role: name },
        });
      found.set(name, renewedRole(bin, expires));
    });
    // In the order of their names, as they are listed.
    const roles = new Map(
      group.map((name) => [name, { tree: found.get(name) as JsonObject, keys: next }]),
    );
    for (const bin of await signBelow(session, roles, log)) await carried.take(bin);
    progress.advance(group.length);
  }
  progress.done();
  return await carried.end();
}

/** Bins in the file, as long as there is room for all of them; else all are uploaded. */
class Carried {
  readonly #session: Session;
  readonly #room: number;
  #bins: ResignedBin[] = [];
  #bytes = 0;
  #sent = 0;
  #sender: BatchSender | undefined;

  constructor(session: Session, room: number) {
    this.#session = session;
    this.#room = room;
  }

  async take({ role, sha256, bytes }: SignedBelow): Promise<void> {
    this.#bytes += bytes.length;
    this.#bins.push({ role, sha256, bytes });
    if (this.#bytes <= this.#room) return;
    this.#sender ??= new BatchSender(await apiOf(this.#session));
    for (; this.#sent < this.#bins.length; this.#sent++) {
      const { bytes: held, ...bin } = this.#bins[this.#sent] as ResignedBin;
      const blob = { sha256: bin.sha256, bytes: held as Uint8Array };
      await this.#send(() => this.#sender?.add(blob));
      this.#bins[this.#sent] = { ...bin, bytes: undefined };
    }
  }

  async end(): Promise<ResignedBin[]> {
    await this.#send(() => this.#sender?.flush());
    return this.#bins;
  }

  async #send(act: () => Promise<void> | undefined): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (!isIronError(error, 'E_UNAUTHENTICATED', 'E_NOT_AUTHORISED')) throw error;
      throw new IronError(error.code, `the bins could not be uploaded: ${error.message}`, {
        why: 'they are too much for a file, and the service takes them from an API key that is published, of a vendor that is not suspended',
        hint: 'nothing was written, and what was sent counts for nothing; exchange the API keys afterwards, or ask the operators to end the suspension for this',
        cause: error,
      });
    }
  }
}
