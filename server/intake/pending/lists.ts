/**
 * A list of revocations that lacks signatures of the security team. When it has them it waits on, whole
 * and never altered again, for the machine that renews: the role that lists it names its digest.
 */

import { draftId, listPart } from '../../../shared/api/pending.ts';
import type { Crypto } from '../../../shared/crypto/crypto.ts';
import { keyIdentity } from '../../../shared/crypto/key.ts';
import { asIronError, IronError, isIronError } from '../../../shared/errors.ts';
import { assertAffordable, type EnvelopeSignature, pae } from '../../../shared/evidence/dsse.ts';
import { revocations as place } from '../../../shared/layout.ts';
import type { RevocationFloors } from '../../../shared/revocation/floors.ts';
import {
  floorsOf,
  listSigners,
  readList,
  verifyUnsigned,
  writeList,
} from '../../../shared/revocation/signed-list.ts';
import { keyId, shortKeyId } from '../../../shared/tuf/key.ts';
import {
  parseRevocationTrust,
  type RevocationTrust,
} from '../../../shared/tuf/revocation-trust.ts';
import type { Published } from '../../storage/published.ts';
import type { Collected } from './wanted.ts';

/** By what a list is judged now, and the id of the draft that the published one was. */
export interface ListsNow {
  readonly trust: RevocationTrust | undefined;
  readonly before: RevocationFloors | undefined;
  readonly id: string | undefined;
}

export async function listsNow(crypto: Crypto, published: Published): Promise<ListsNow> {
  const trust = parseRevocationTrust(published.targets.envelope.signed);
  const found = await published.revocations();
  if (found === undefined) return { trust, before: undefined, id: undefined };
  const id = draftId(crypto, undefined, [listPart(readList(found.bytes).envelope.payload)]);
  return { trust, before: floorsOf(found.verified), id };
}

/** What a list needs. Refuses at once what no signature of the team can help. */
export async function collectedList(
  crypto: Crypto,
  published: Published,
  bytes: Uint8Array,
): Promise<Collected> {
  const now = await listsNow(crypto, published);
  const trust = demandFollows(crypto, bytes, now);
  const { version } = readList(bytes).list;
  const [opener] = listSigners(crypto, bytes, trust);
  return {
    ...{ role: place.list, version, expires: undefined },
    opener: opener && keyIdentity(opener),
    join: (held) => withSignatures(crypto, held[0], bytes, trust),
    about(bytes) {
      const signers = listSigners(crypto, bytes, trust);
      const team = { by: 'the security team', have: signers.length, need: trust.threshold };
      return {
        ...{ role: place.list, version, expires: null },
        signatures: [team, { by: `the renewal key, in the role ${place.role}`, have: 0, need: 1 }],
        signed_by: signers.map((key) => keyId(crypto, key)),
      };
    },
  };
}

/** Why a list that waits can wait no longer; undefined when it can. */
export function listStaleness(
  crypto: Crypto,
  bytes: Uint8Array | undefined,
  now: ListsNow | undefined,
): IronError | undefined {
  if (bytes === undefined || now === undefined) return undefined;
  try {
    demandFollows(crypto, bytes, now);
    return undefined;
  } catch (error) {
    if (isIronError(error, 'E_INTERNAL')) throw error;
    return asIronError(error);
  }
}

function demandFollows(
  crypto: Crypto,
  bytes: Uint8Array,
  { trust, before }: ListsNow,
): RevocationTrust {
  if (trust === undefined)
    throw new IronError('E_POLICY', 'the targets name no security team', {
      why: 'whose signatures a list waits for, the targets say',
      hint: 'nothing was changed; `ironport-repo revocations init` makes targets that name a team',
    });
  const { list } = readList(bytes);
  if (before !== undefined && list.epoch === before.epoch && list.version <= before.version)
    throw new IronError(
      'E_CONFLICT',
      `list ${list.version} was handed in, and list ${before.version} stands`,
      {
        why: 'the next one must have a higher version',
        hint: 'nothing was changed; make it again on top of what is published',
        context: { submitted: list.version, current: before.version },
      },
    );
  verifyUnsigned(crypto, bytes, trust, before);
  return trust;
}

/**
 * The list that is held, with the signatures of the one that was brought. One that is whole stays as it
 * is: its digest may have been listed. `E_NOT_AUTHORISED`, `E_SIGNATURE` for what counts for nothing.
 */
function withSignatures(
  crypto: Crypto,
  held: Uint8Array | undefined,
  brought: Uint8Array,
  trust: RevocationTrust,
): Uint8Array {
  const { envelope } = readList(brought);
  assertAffordable([envelope], trust.keys.length);
  const message = pae(envelope.payloadType, envelope.payload);
  const signatures = new Map<string, EnvelopeSignature>();
  for (const { sig, keyid } of envelope.signatures) {
    const key = trust.keys.find((one) => crypto.verify(one, message, sig));
    if (key === undefined) throw countsForNothing(crypto, trust, keyid);
    signatures.set(keyId(crypto, key), { keyid: keyId(crypto, key), sig });
  }
  const before = held === undefined ? [] : listSigners(crypto, held, trust);
  if (held !== undefined && before.length >= trust.threshold) return held;
  // One signature of each key, and the first that it gave: what is brought again alters nothing.
  for (const one of held === undefined ? [] : readList(held).envelope.signatures)
    signatures.set(one.keyid ?? '', one);
  const inOrder = trust.keys.flatMap((key) => signatures.get(keyId(crypto, key)) ?? []);
  return writeList(envelope.payload, inOrder);
}

function countsForNothing(
  crypto: Crypto,
  { keys }: RevocationTrust,
  keyid: string | undefined,
): IronError {
  const isOfTeam = keys.some((key) => keyId(crypto, key) === keyid);
  const who = keyid === undefined ? 'that names no key' : `by ${shortKeyId(keyid)}`;
  return isOfTeam
    ? new IronError('E_SIGNATURE', `a signature ${who} is not over this list`, {
        why: 'it was made over another list, or altered on the way',
        hint: 'nothing was changed; sign the list that is shown here',
      })
    : new IronError('E_NOT_AUTHORISED', `a signature ${who} counts for nothing on this list`, {
        why: 'the targets that are published do not name its key for the security team',
        hint: 'nothing was changed; check which key, and which list, is meant',
      });
}
