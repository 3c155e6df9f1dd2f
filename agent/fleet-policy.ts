/** The fleet policy that operators signed and this agent took: by whose hands it came counts for nothing. */

import { toHex } from '../shared/bytes.ts';
import { IronError, isIronError } from '../shared/errors.ts';
import { parseEnvelope } from '../shared/evidence/dsse.ts';
import type { FleetKeys } from '../shared/evidence/policy/signed-policy.ts';
import { agentState } from '../shared/layout.ts';
import { MANIFEST_LIMITS } from '../shared/limits.ts';
import {
  parseStandingPolicy,
  requireNewer,
  type StandingPolicy,
  verifyFleetPolicy,
} from '../shared/manifest/signed-policy.ts';
import { writeFileAtomic } from '../shared/node/files.ts';
import { keyId } from '../shared/tuf/key.ts';
import type { Agent } from './agent.ts';
import { cutText } from './sound-text.ts';
import { loadPresent } from './trust.ts';

export interface TakenPolicy {
  readonly policy: StandingPolicy;
  /** SHA-256 of what was signed. */
  readonly sha256: string;
}

/**
 * The policy that was taken last, however long ago; undefined when there was none. Its signatures were
 * verified then, and only this agent writes there. `E_STORE` when it cannot be read any more:
 * the floor would be gone with it.
 */
export async function loadFleetPolicy(agent: Agent): Promise<TakenPolicy | undefined> {
  const bytes = await agent.read(agentState.fleetPolicy, MANIFEST_LIMITS.signedPolicy);
  if (bytes === undefined) return undefined;
  try {
    const { payload } = parseEnvelope(bytes, 'fleet policy', MANIFEST_LIMITS.signedPolicy);
    return { policy: parseStandingPolicy(payload), sha256: toHex(agent.crypto.sha256(payload)) };
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
  const offered = { version: policy.version, sha256 };
  requireNewer(offered, before && { version: before.policy.version, sha256: before.sha256 });
  const signers = keys.map((key) => keyId(agent.crypto, key));
  await agent.audit.append({ event: 'fleet-policy', ...offered, signers });
  await writeFileAtomic(agent.place(agentState.fleetPolicy), bytes, { mode: 0o600 });
  return { policy, sha256, signers, again: before?.sha256 === sha256 };
}
