/** Revocations as operators and the security team make them: trees and lists, pure but for signing. */

import { toHex } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import type { PublicKey } from '../../shared/crypto/key.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { IronError } from '../../shared/errors.ts';
import { pae } from '../../shared/evidence/dsse.ts';
import { IN_TOTO_PAYLOAD_TYPE } from '../../shared/evidence/identifiers.ts';
import { isJsonObject, type JsonObject } from '../../shared/json/value.ts';
import { revocations as place } from '../../shared/layout.ts';
import type { RevocationList } from '../../shared/revocation/list.ts';
import { listPayload, readList, writeList } from '../../shared/revocation/signed-list.ts';
import type { Instant } from '../../shared/time.ts';
import {
  delegationTree,
  keyTable,
  objectMember,
  targetEntry,
  targetsTree,
  withFields,
} from '../../shared/tuf/build.ts';
import { keyId } from '../../shared/tuf/key.ts';
import {
  type RevocationTrust,
  revocationTrustField,
  TRUST_FIELD,
} from '../../shared/tuf/revocation-trust.ts';
import { EXTENSION_FIELD } from '../../shared/tuf/vendors.ts';

/**
 * Targets that name the team and delegate to the role that lists its list. Keys of that role's
 * earlier delegation that nobody else has stay in the table, where they count for nothing.
 */
export function withRevocations(
  crypto: Crypto,
  targets: JsonObject,
  trust: RevocationTrust,
  renewal: PublicKey,
): JsonObject {
  const old = objectMember(targets, 'delegations');
  const roles = Array.isArray(old.roles) ? old.roles : [];
  const role = { keys: [renewal], threshold: 1 };
  const added = delegationTree(crypto, place.role, role, place.paths, true);
  const extension = objectMember(targets, EXTENSION_FIELD);
  return withFields(targets, {
    delegations: withFields(old, {
      keys: withFields(objectMember(old, 'keys'), { ...keyTable(crypto, role.keys) }),
      roles: [added, ...roles.filter((one) => !isJsonObject(one) || one.name !== place.role)],
    }),
    [EXTENSION_FIELD]: withFields(extension, { [TRUST_FIELD]: revocationTrustField(trust) }),
  });
}

/** The role that lists `list` and nothing else. */
export function listingTree(
  crypto: Crypto,
  list: Uint8Array,
  version: number,
  expires: Instant,
): JsonObject {
  const file = { length: list.length, sha256: toHex(crypto.sha256(list)) };
  return targetsTree(version, expires, { targets: new Map([[place.list, targetEntry(file)]]) });
}

/** A list with its signatures, under `trust`. `E_NOT_AUTHORISED` when a key is not the team's. */
export async function signList(
  crypto: Crypto,
  list: RevocationList,
  trust: RevocationTrust,
  signers: readonly Signer[],
): Promise<Uint8Array> {
  const payload = listPayload(crypto, list, trust);
  return addTo(crypto, payload, [], trust, signers);
}

/** The same file with signatures added; those that count stay, those that do not are left out. */
export async function addListSignatures(
  crypto: Crypto,
  bytes: Uint8Array,
  trust: RevocationTrust,
  signers: readonly Signer[],
): Promise<Uint8Array> {
  const { envelope } = readList(bytes);
  const { payload } = envelope;
  const signatures = envelope.signatures.map(({ sig }) => sig);
  return addTo(crypto, payload, signatures, trust, signers);
}

async function addTo(
  crypto: Crypto,
  payload: Uint8Array,
  before: readonly Uint8Array[],
  trust: RevocationTrust,
  signers: readonly Signer[],
): Promise<Uint8Array> {
  const message = pae(IN_TOTO_PAYLOAD_TYPE, payload);
  const signatures = new Map<string, Uint8Array>();
  for (const key of trust.keys) {
    const sig = before.find((one) => crypto.verify(key, message, one));
    if (sig !== undefined) signatures.set(keyId(crypto, key), sig);
  }
  const team = new Set(trust.keys.map((key) => keyId(crypto, key)));
  for (const signer of signers) {
    const keyid = keyId(crypto, signer.key);
    if (!team.has(keyid)) {
      throw new IronError(
        'E_NOT_AUTHORISED',
        `the key ${keyid.slice(0, 12)} is none of the security team`,
        {
          why: 'the targets do not name it, and its signature would count for nothing',
          hint: 'nothing was written; check which key, and which targets, are meant',
        },
      );
    }
    const sig = await signer.sign(message);
    if (!crypto.verify(signer.key, message, sig))
      throw new IronError('E_SIGNATURE', 'a signer returned a signature that does not verify');
    signatures.set(keyid, sig);
  }
  if (signatures.size === 0)
    throw new IronError('E_USAGE', 'a list needs at least one signature of the team');
  const listed = [...signatures].map(([keyid, sig]) => ({ keyid, sig }));
  return writeList(payload, listed);
}

/** One more thing that is revoked. */
export type Revocation =
  | { readonly kind: 'floor'; readonly component: string; readonly generation: number }
  | { readonly kind: 'digest'; readonly sha256: string }
  | { readonly kind: 'key'; readonly keyid: string; readonly allowed: readonly string[] };

/** The list that follows. `E_CONFLICT` when a floor would go down, `E_NOTHING_TO_DO` when it stands. */
export function nextList(
  list: RevocationList,
  added: readonly Revocation[],
  reason: string,
  now: Instant,
): RevocationList {
  const [floors, digests, keys] = [new Map(list.floors), new Map(list.digests), new Map(list.keys)];
  for (const one of added) {
    if (one.kind === 'digest') {
      digests.set(one.sha256, { reason });
    } else if (one.kind === 'key') {
      keys.set(one.keyid, { allowed: [...new Set(one.allowed)].sort(), reason });
    } else {
      const before = floors.get(one.component)?.generation ?? 0;
      if (one.generation === before)
        throw new IronError(
          'E_NOTHING_TO_DO',
          `the floor of ${one.component} is ${before} already`,
        );
      if (one.generation < before) {
        throw new IronError(
          'E_CONFLICT',
          `the floor of ${one.component} is ${before}, and never goes down`,
          {
            hint: 'nothing was written; hosts would refuse the whole list',
          },
        );
      }
      floors.set(one.component, { generation: one.generation, reason });
    }
  }
  return { ...list, version: list.version + 1, issued: now, floors, digests, keys };
}
