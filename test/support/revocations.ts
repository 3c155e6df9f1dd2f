/** A security team in a simulator, and the lists that it signs. */

import { signEnvelope } from '../../shared/evidence/dsse.ts';
import { IN_TOTO_PAYLOAD_TYPE } from '../../shared/evidence/identifiers.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { revocations as place } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { emptyList, type RevocationList } from '../../shared/revocation/list.ts';
import { listPayload } from '../../shared/revocation/signed-list.ts';
import {
  type RevocationTrust,
  revocationTrustField,
  TRUST_FIELD,
} from '../../shared/tuf/revocation-trust.ts';
import { EXTENSION_FIELD } from '../../shared/tuf/vendors.ts';
import { TODAY } from './clock.ts';
import { type TestKey, testKey } from './keys.ts';
import type { Simulator } from './simulator.ts';

export const TEAM: readonly TestKey[] = [
  testKey('security 1'),
  testKey('security 2'),
  testKey('security 3'),
];

export const TRUST: RevocationTrust = {
  epoch: 1,
  keys: TEAM.map(({ key }) => key),
  threshold: 2,
};

/** The list `version` of the first epoch, changed. */
export function testList(version: number, change: Partial<RevocationList> = {}): RevocationList {
  return { ...emptyList(1, TODAY), version, ...change };
}

export interface SignChange {
  readonly trust?: RevocationTrust;
  readonly signers?: readonly TestKey[];
  /** In the place of the payload. */
  readonly payload?: Uint8Array;
  readonly payloadType?: string;
}

/** A list, signed by two of the team. */
export function signList(list: RevocationList, change: SignChange = {}): Promise<Uint8Array> {
  const { trust = TRUST, signers = TEAM.slice(0, 2), payloadType = IN_TOTO_PAYLOAD_TYPE } = change;
  const payload = change.payload ?? listPayload(platformCrypto, list, trust);
  return signEnvelope(
    payloadType,
    payload,
    signers.map((signer) => ({ signer })),
  );
}

/** Names the team in the targets; beside them whatever stood there stays. */
export function nameTeam(sim: Simulator, trust: RevocationTrust = TRUST): void {
  const before = sim.targets[EXTENSION_FIELD] as JsonObject | undefined;
  sim.targets[EXTENSION_FIELD] = { ...before, [TRUST_FIELD]: revocationTrustField(trust) };
}

/** Makes `bytes` the list of the repository; the role is renewed for a week. */
export function listIt(sim: Simulator, bytes: Uint8Array): void {
  const role = sim.role(place.role);
  role.targets = Object.create(null);
  role.expires = sim.expiry(7);
  sim.addTarget(place.role, place.list, bytes);
}

/** A security team, the role that lists its list, and an empty list. */
export async function addRevocations(
  sim: Simulator,
  list: RevocationList = testList(1),
): Promise<void> {
  nameTeam(sim);
  sim.delegate('targets', place.role, { paths: place.paths, terminating: true });
  listIt(sim, await signList(list));
}
