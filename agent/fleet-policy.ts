/** The fleet policy that operators signed and this agent took: by whose hands it came counts for nothing. */

import { toHex } from '../shared/bytes.ts';
import { IronError, isIronError } from '../shared/errors.ts';
import { type Envelope, parseEnvelope, verifyEnvelope } from '../shared/evidence/dsse.ts';
import { type PolicyFloor, verifyPolicyFloor } from '../shared/evidence/policy/policy-floor.ts';
import {
  type FleetKeys,
  parseFleetKeys,
  requireEpoch,
} from '../shared/evidence/policy/signed-policy.ts';
import { agentState, hostFiles } from '../shared/layout.ts';
import { MANIFEST_LIMITS } from '../shared/limits.ts';
import {
  parseStandingPolicy,
  requireStanding,
  type StandingPolicy,
  verifyFleetPolicy,
} from '../shared/manifest/signed-policy.ts';
import { writeFileAtomic } from '../shared/node/files.ts';
import { readOwned } from '../shared/node/host-policy.ts';
import { keyId } from '../shared/tuf/key.ts';
import type { Agent } from './agent.ts';
import { cutText } from './sound-text.ts';
import { loadPresent } from './trust.ts';

export interface TakenPolicy {
  readonly policy: StandingPolicy;
  /** SHA-256 of what was signed. */
  readonly sha256: string;
}

/** The keys of the operators, as this host names them today. `E_CONFIG` when it names none. */
export async function loadFleetKeys({ fleetKeys }: Agent): Promise<FleetKeys> {
  const keys = await readOwned(fleetKeys, hostFiles.fleetKeys);
  if (keys !== undefined) return parseFleetKeys(keys);
  throw new IronError('E_CONFIG', 'this host has no keys of its fleet', {
    why: `there is no ${hostFiles.fleetKeys}, so that nobody's signature counts`,
    hint: 'nothing was changed; name the file with the keys of the operators: --fleet-keys FILE',
  });
}

/**
 * The policy that drivers are bound by: the one that was taken last, while it stands, and while those who
 * signed it are operators still. Undefined when none was taken. `E_SIGNATURE`, `E_THRESHOLD`,
 * `E_POLICY` (policy-epoch), `E_EXPIRED`, `E_CONFIG`, `E_STORE`.
 */
export async function loadPolicyInForce(agent: Agent): Promise<TakenPolicy | undefined> {
  const taken = await loadFleetPolicy(agent);
  if (taken === undefined) return undefined;
  const fleet = await loadFleetKeys(agent);
  try {
    verifyEnvelope(agent.crypto, taken.envelope, fleet.keys, fleet.threshold);
  } catch (cause) {
    if (!isIronError(cause, 'E_SIGNATURE', 'E_THRESHOLD')) throw cause;
    throw new IronError(cause.code, 'the operators of today did not sign the fleet policy', {
      why: `version ${taken.policy.version} was taken under other keys: ${cause.message}`,
      hint: 'nothing was changed; let them sign a policy of a higher version, and take that',
      cause,
      context: { ...cause.context, version: taken.policy.version },
    });
  }
  requireEpoch(taken.policy, fleet);
  requireStanding(taken.policy, await loadPresent(agent));
  return taken;
}

/**
 * The policy that was taken last, however long ago and under whichever keys: the floor of what is taken
 * next. Undefined when there was none. `E_STORE` when it cannot be read any more: the floor would be
 * gone with it.
 */
async function loadFleetPolicy(
  agent: Agent,
): Promise<(TakenPolicy & { readonly envelope: Envelope }) | undefined> {
  const bytes = await agent.read(agentState.fleetPolicy, MANIFEST_LIMITS.signedPolicy);
  if (bytes === undefined) return undefined;
  try {
    const envelope = parseEnvelope(bytes, 'fleet policy', MANIFEST_LIMITS.signedPolicy);
    const { payload } = envelope;
    const sha256 = toHex(agent.crypto.sha256(payload));
    return { policy: parseStandingPolicy(payload), sha256, envelope };
  } catch (cause) {
    if (!isIronError(cause)) throw cause;
    throw new IronError('E_STORE', 'the fleet policy that was taken is damaged', {
      why: cause.message,
      hint: 'nothing was changed; bring the file back from a copy, as the version below which none is taken is in it',
      cause,
      context: { path: agent.place(agentState.fleetPolicy) },
    });
  }
}

export interface AcceptedPolicy extends TakenPolicy {
  readonly signers: readonly string[];
  /** Whether it is the very one that was taken before. */
  readonly again: boolean;
}

/**
 * Takes a signed policy, for all that is bound from now on. What is bound already keeps its grant.
 * `E_SIGNATURE`, `E_THRESHOLD`, `E_EXPIRED`, `E_ROLLBACK`, `E_POLICY`, `E_CONFIG`; nothing is changed
 * by any of them.
 */
export function acceptFleetPolicy(
  agent: Agent,
  bytes: Uint8Array,
  fleet: FleetKeys,
): Promise<AcceptedPolicy> {
  return agent.alone(async () => {
    try {
      return await take(agent, bytes, fleet);
    } catch (error) {
      const { code, message } = error instanceof IronError ? error : { code: '', message: '' };
      const event = { event: 'fleet-policy-refused', code, message: cutText(message, 1000) };
      await agent.audit.append(event).catch(() => {});
      throw error;
    }
  });
}

async function take(agent: Agent, bytes: Uint8Array, fleet: FleetKeys): Promise<AcceptedPolicy> {
  const now = await loadPresent(agent);
  const { policy, payload, signers: keys } = verifyFleetPolicy(agent.crypto, bytes, fleet, now);
  const sha256 = toHex(agent.crypto.sha256(payload));
  const before = await loadFleetPolicy(agent);
  const offered = floorOf(policy, sha256);
  verifyPolicyFloor(before && floorOf(before.policy, before.sha256), offered, 'the fleet policy');
  const signers = keys.map((key) => keyId(agent.crypto, key));
  await agent.audit.append({ event: 'fleet-policy', ...offered, signers });
  await writeFileAtomic(agent.place(agentState.fleetPolicy), bytes, { mode: 0o600 });
  return { policy, sha256, signers, again: before?.sha256 === sha256 };
}

function floorOf({ epoch, version }: StandingPolicy, sha256: string): PolicyFloor {
  return { epoch, version, sha256 };
}
