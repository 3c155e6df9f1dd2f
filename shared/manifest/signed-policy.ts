/**
 * A fleet policy under the signatures of a fleet's operators: a DSSE envelope whose payload is the policy,
 * with a version that only grows and an expiry. It may come by anybody's hands: what counts is who signed
 * it, and that it is not older than the one before. Pure.
 */

import type { Crypto } from '../crypto/crypto.ts';
import type { PublicKey } from '../crypto/key.ts';
import { IronError } from '../errors.ts';
import { parseEnvelope, verifyEnvelope } from '../evidence/dsse.ts';
import { type FleetKeys, requireEpoch } from '../evidence/policy/signed-policy.ts';
import { LIFETIMES, MANIFEST_LIMITS } from '../limits.ts';
import { formatInstant, type Instant } from '../time.ts';
import { type FleetPolicy, parsePolicy } from './policy.ts';

/** DSSE: signed as a fleet policy, and not as anything else that these keys sign. */
export const FLEET_POLICY_PAYLOAD_TYPE = 'application/vnd.ironport.fleet-policy+json';

/** A policy that says which one it is and how long it stands. */
export interface StandingPolicy extends FleetPolicy {
  readonly version: number;
  readonly expires: Instant;
}

/** Reads a policy that can be signed. `E_CONFIG`, also where it has no version or no expiry. */
export function parseStandingPolicy(bytes: Uint8Array): StandingPolicy {
  const policy = parsePolicy(bytes);
  const { version, expires } = policy;
  if (version === undefined || expires === undefined) {
    throw new IronError('E_CONFIG', 'the fleet policy has no version, or no expiry', {
      why: 'a policy that is signed must say which one it is, and how long it stands',
      hint: 'add "version", a number above that of the one before, and "expires"',
    });
  }
  return { ...policy, version, expires };
}

export interface SignedPolicy {
  readonly policy: StandingPolicy;
  /** The policy as it was signed. */
  readonly payload: Uint8Array;
  readonly signers: readonly PublicKey[];
}

/**
 * The policy in an envelope that enough operators of the fleet signed, and which is good now. `E_SIGNATURE`,
 * `E_THRESHOLD`, `E_POLICY`, `E_EXPIRED`, and what reading throws. Whether an older one may be
 * followed by it is `verifyPolicyFloor`'s.
 */
export function verifyFleetPolicy(
  crypto: Crypto,
  bytes: Uint8Array,
  fleet: FleetKeys,
  now: Instant,
): SignedPolicy {
  const envelope = parseEnvelope(bytes, 'fleet policy', MANIFEST_LIMITS.signedPolicy);
  const signers = verifyEnvelope(crypto, envelope, fleet.keys, fleet.threshold);
  if (envelope.payloadType !== FLEET_POLICY_PAYLOAD_TYPE) {
    throw new IronError('E_POLICY', 'what is signed is no fleet policy', {
      why: `its payload type is not ${FLEET_POLICY_PAYLOAD_TYPE}`,
      hint: 'nothing was changed',
      context: { reason: 'policy-type' },
    });
  }
  const policy = parseStandingPolicy(envelope.payload);
  requireEpoch(policy, fleet);
  requireStanding(policy, now);
  // One that stands for years could be brought back by whoever kept it, on a host that is new.
  if (policy.expires - now > LIFETIMES.fleetPolicy) {
    throw new IronError('E_POLICY', 'the fleet policy stands for longer than any may', {
      why: `it is good until ${formatInstant(policy.expires)}`,
      hint: `nothing was changed; sign one that stands ${LIFETIMES.fleetPolicy / 86_400} days at the most`,
      context: { reason: 'policy-lifetime' },
    });
  }
  return { policy, payload: envelope.payload, signers };
}

/** `E_EXPIRED` when it stands no more. */
export function requireStanding({ version, expires }: StandingPolicy, now: Instant): void {
  if (expires > now) return;
  throw new IronError('E_EXPIRED', `version ${version} of the fleet policy is past its expiry`, {
    why: `it stood until ${formatInstant(expires)}`,
    hint: 'nothing was changed; let the operators of the fleet sign a new one',
    context: { version },
  });
}
